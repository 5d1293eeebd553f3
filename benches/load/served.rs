//! What a client program has at its ends: a server for one connection, and something to read from and write to.
//! Absent: time; whoever starts the program takes it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ends::{PIECE, Zeros, accept, listen, take};

/// What a pipe of the shell's holds.
const PIPE: usize = 64 << 10;

/// Takes all, and says how much it was.
pub(crate) async fn sink(at: SocketAddr) -> io::Result<u64> {
    let stream = accept(&listen(at)?).await?;
    let mut taken = 0;
    loop {
        match take(&stream).await? {
            0 => return Ok(taken),
            length => taken += length as u64,
        }
    }
}

/// Sends so many bytes and ends; gone when the client has ended too.
pub(crate) async fn source(at: SocketAddr, bytes: u64) -> io::Result<()> {
    let mut stream = accept(&listen(at)?).await?;
    let zeros = Zeros::new()?;
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE);
        left -= zeros.send(&stream, most).await? as u64;
    }
    stream.shutdown().await?;
    while take(&stream).await? > 0 {}
    Ok(())
}

/// Sends back what comes, and then the end.
pub(crate) async fn echo(at: SocketAddr) -> io::Result<()> {
    let mut stream = accept(&listen(at)?).await?;
    let mut buf = vec![0; PIECE / 4];
    loop {
        match stream.read(&mut buf).await? {
            0 => return stream.shutdown().await,
            length => stream.write_all(&buf[..length]).await?,
        }
    }
}

/// Writes so many bytes.
pub(crate) fn pour(bytes: u64) -> io::Result<()> {
    let piece = vec![0; PIPE];
    let mut out = io::stdout().lock();
    let mut left = bytes;
    while left > 0 {
        let now = piece.len().min(usize::try_from(left).unwrap_or(PIPE));
        out.write_all(&piece[..now])?;
        left -= now as u64;
    }
    out.flush()
}

/// Reads all, and says how much it was.
pub(crate) fn drain() -> io::Result<u64> {
    let mut piece = vec![0; PIPE];
    let mut taken = 0;
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut piece)? {
            0 => return Ok(taken),
            length => taken += length as u64,
        }
    }
}
