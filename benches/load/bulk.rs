//! Bulk through a relay, one way or both ways, on one connection or many. What has arrived counts.
//! Absent: what it is; all of it is zeros, and the tests are there for what must not change.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use crate::ends::{Near, PIECE, Zeros, accept, take};
use crate::{Load, Way};

/// What is encrypted or decrypted at once: a few records.
const RECORDS: usize = 64 << 10;

async fn feed(to: &TcpStream, zeros: &Zeros) -> io::Result<()> {
    loop {
        zeros.send(to, PIECE).await?;
    }
}

async fn drain(from: &TcpStream, arrived: &Cell<u64>) -> io::Result<()> {
    loop {
        match take(from).await? {
            0 => return Ok(()),
            length => arrived.set(arrived.get() + length as u64),
        }
    }
}

async fn near(end: Near, way: Way, zeros: Rc<Zeros>, arrived: Rc<Cell<u64>>) -> io::Result<()> {
    match end {
        Near::Plain(stream) => plain(&stream, way != Way::Down, way != Way::Up, &zeros, &arrived).await,
        Near::Tls(stream) => {
            let (mut reader, mut writer) = tokio::io::split(stream);
            let feeding = async {
                let piece = vec![0; RECORDS];
                loop {
                    writer.write_all(&piece).await?;
                }
            };
            let draining = async {
                let mut piece = vec![0; RECORDS];
                loop {
                    match reader.read(&mut piece).await? {
                        0 => return Ok(()),
                        length => arrived.set(arrived.get() + length as u64),
                    }
                }
            };
            match way {
                Way::Up => feeding.await,
                Way::Down => draining.await,
                Way::Both => tokio::try_join!(feeding, draining).map(|((), ())| ()),
            }
        }
    }
}

async fn plain(
    stream: &TcpStream,
    sends: bool,
    takes: bool,
    zeros: &Zeros,
    arrived: &Cell<u64>,
) -> io::Result<()> {
    match (sends, takes) {
        (true, true) => tokio::try_join!(feed(stream, zeros), drain(stream, arrived)).map(|_| ()),
        (true, false) => feed(stream, zeros).await,
        (false, _) => drain(stream, arrived).await,
    }
}

/// Why one has ended that was to go on until it is dropped.
fn ended(result: io::Result<()>) -> io::Error {
    result
        .err()
        .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Bytes that arrived: a second, and in all.
pub(crate) async fn run(load: &Load, way: Way) -> io::Result<(f64, u64)> {
    let through = load.through()?;
    let zeros = Rc::new(Zeros::new()?);
    let arrived = Rc::new(Cell::new(0));
    let failure = Rc::new(Cell::new(None));
    let tasks = LocalSet::new();
    let running = tasks.run_until(async {
        for _ in 0..load.connections {
            let (end, far) = tokio::try_join!(through.connect(), accept(&through.far))?;
            let (zeros_far, arrived_far) = (zeros.clone(), arrived.clone());
            let failed = failure.clone();
            spawn_local(async move {
                let (sends, takes) = (way != Way::Up, way != Way::Down);
                failed.set(Some(ended(
                    plain(&far, sends, takes, &zeros_far, &arrived_far).await,
                )));
            });
            let (zeros, arrived, failed) = (zeros.clone(), arrived.clone(), failure.clone());
            spawn_local(async move { failed.set(Some(ended(near(end, way, zeros, arrived).await))) });
        }
        io::Result::Ok(load.measured(|| arrived.get()).await)
    });
    let measured = running.await?;
    // A figure of fewer connections than there were to be is none.
    failure.take().map_or(Ok(measured), Err)
}
