//! What is small: messages there and back, short visits, and connections on which nothing moves.
//! Absent: bulk.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use crate::Load;
use crate::ends::{Near, Through, accept};

/// Sends back what comes, until the end.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            length => stream.write_all(&buf[..length]).await?,
        }
    }
}

async fn there_and_back<S>(stream: &mut S, message: &mut [u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(message).await?;
    stream.flush().await?;
    stream.read_exact(message).await?;
    Ok(())
}

impl Near {
    async fn ask(&mut self, message: &mut [u8]) -> io::Result<()> {
        match self {
            Near::Plain(stream) => there_and_back(stream, message).await,
            Near::Tls(stream) => there_and_back(stream, message).await,
        }
    }
}

/// The far end echoes whoever comes.
fn answer(through: &Rc<Through>) {
    let through = through.clone();
    spawn_local(async move {
        while let Ok(stream) = accept(&through.far).await {
            spawn_local(echo(stream));
        }
    });
}

/// Round trips: a second, and in all.
pub(crate) async fn ask(load: &Load, size: usize) -> io::Result<(f64, u64)> {
    let through = Rc::new(load.through()?);
    let answered = Rc::new(Cell::new(0));
    let failure = Rc::new(Cell::new(None));
    let tasks = LocalSet::new();
    let running = tasks.run_until(async {
        answer(&through);
        for _ in 0..load.connections {
            let mut end = through.connect().await?;
            let (answered, failure) = (answered.clone(), failure.clone());
            spawn_local(async move {
                let mut message = vec![7; size];
                loop {
                    match end.ask(&mut message).await {
                        Ok(()) => answered.set(answered.get() + 1),
                        Err(error) => return failure.set(Some(error)),
                    }
                }
            });
        }
        io::Result::Ok(load.measured(|| answered.get()).await)
    });
    let measured = running.await?;
    failure.take().map_or(Ok(measured), Err)
}

/// Connections that were made, used and closed: a second, and in all.
pub(crate) async fn visit(load: &Load) -> io::Result<(f64, u64)> {
    let through = Rc::new(load.through()?);
    let visits = Rc::new(Cell::new(0));
    let failure = Rc::new(Cell::new(None));
    let tasks = LocalSet::new();
    let running = tasks.run_until(async {
        answer(&through);
        for _ in 0..load.connections {
            let (through, visits, failure) = (through.clone(), visits.clone(), failure.clone());
            spawn_local(async move {
                loop {
                    let visited = async { through.connect().await?.ask(&mut [7]).await };
                    match visited.await {
                        Ok(()) => visits.set(visits.get() + 1),
                        Err(error) => return failure.set(Some(error)),
                    }
                }
            });
        }
        io::Result::Ok(load.measured(|| visits.get()).await)
    });
    let measured = running.await?;
    // A figure of fewer visitors than there were to be is none.
    failure.take().map_or(Ok(measured), Err)
}

/// Connections that have been used once, with their far ends.
pub(crate) async fn stay(load: &Load) -> io::Result<Vec<(Near, TcpStream)>> {
    let through = load.through()?;
    let mut standing = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let (mut near, mut far) = tokio::try_join!(through.connect(), accept(&through.far))?;
        let mut byte = [0];
        let answering = async {
            far.read_exact(&mut byte).await?;
            far.write_all(&byte).await
        };
        let mut asked = [7];
        tokio::try_join!(near.ask(&mut asked), answering)?;
        standing.push((near, far));
    }
    Ok(standing)
}
