//! A load for relays and clients: both ends of what is measured, in one process and on one thread, so that it can be pinned.
//! Absent: what is measured, and what its figures mean; `benches/figures` starts the contenders and compares.
#![allow(clippy::print_stdout, reason = "the figures are what it is run for")]

mod bulk;
mod datagrams;
mod ends;
mod served;
mod single;
mod small;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ends::Through;

/// Before anything counts: connections grow their windows, and relays their buffers.
const WARM_UP: Duration = Duration::from_millis(300);

/// Drives a relay from both sides, or is what a client program talks to. Prints `RATE TOTAL` where it measures: units a
/// second after a warm-up, and all that there were.
#[derive(Parser)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Bulk through a relay; the unit is the byte
    Bulk {
        #[command(flatten)]
        load: Load,
        /// From us to the far end, back, or both
        #[arg(long, value_enum)]
        way: Way,
    },
    /// Small messages there and back; the unit is the round trip
    Ask {
        #[command(flatten)]
        load: Load,
        #[arg(long, default_value_t = 64)]
        size: usize,
    },
    /// Connect, a byte there and back, close; as many at once as --connections; the unit is the connection
    Visit {
        #[command(flatten)]
        load: Load,
    },
    /// Connections on which nothing moves: says `standing`, and holds them until its input ends
    Stay {
        #[command(flatten)]
        load: Load,
    },
    /// Datagrams there and back, so many under way on each of --connections sockets; prints how many were lost, too
    Datagrams {
        #[command(flatten)]
        load: Load,
        #[arg(long)]
        size: usize,
        #[arg(long)]
        window: usize,
    },
    /// Forwards datagrams, with a system call for each that comes and each that goes: no load, but what others are measured
    /// against
    Single { listen: SocketAddr, far: SocketAddr },
    /// Serves one client: takes all it sends, and prints how many bytes that was
    Sink { at: SocketAddr },
    /// Serves one client: sends it so many bytes, and ends
    Source { at: SocketAddr, bytes: u64 },
    /// Serves one client: sends back what it sends
    Echo { at: SocketAddr },
    /// Writes so many bytes to standard output
    Pour { bytes: u64 },
    /// Reads standard input to its end, and prints how many bytes that was
    Drain,
}

/// What all loads on a relay share.
#[derive(Args)]
struct Load {
    /// Where the relay listens
    #[arg(long)]
    to: SocketAddr,
    /// Where it connects to: listened on here
    #[arg(long)]
    far: SocketAddr,
    /// Speak TLS to the relay, and trust this certificate (PEM)
    #[arg(long)]
    trust: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value = "1", value_parser = seconds)]
    seconds: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    Up,
    Down,
    Both,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Load {
    fn through(&self) -> io::Result<Through> {
        Through::new(self.to, self.far, self.trust.as_deref())
    }

    /// Lets the load run, and looks at what it has counted before and after.
    async fn measured(&self, counted: impl Fn() -> u64) -> (f64, u64) {
        tokio::time::sleep(WARM_UP).await;
        let (start, before) = (tokio::time::Instant::now(), counted());
        tokio::time::sleep(self.seconds).await;
        let after = counted();
        ((after - before) as f64 / start.elapsed().as_secs_f64(), after)
    }
}

async fn run(what: What) -> io::Result<()> {
    match what {
        What::Bulk { load, way } => {
            let (rate, total) = bulk::run(&load, way).await?;
            writeln!(io::stdout(), "{rate:.0} {total}")?;
        }
        What::Ask { load, size } => {
            let (rate, total) = small::ask(&load, size).await?;
            writeln!(io::stdout(), "{rate:.0} {total}")?;
        }
        What::Visit { load } => {
            let (rate, total) = small::visit(&load).await?;
            writeln!(io::stdout(), "{rate:.0} {total}")?;
        }
        What::Stay { load } => {
            let standing = small::stay(&load).await?;
            writeln!(io::stdout(), "standing")?;
            io::stdout().flush()?;
            // Nothing else is to be done meanwhile.
            io::copy(&mut io::stdin(), &mut io::sink())?;
            drop(standing);
        }
        What::Datagrams { load, size, window } => {
            let (rate, total, lost) = datagrams::run(&load, size, window).await?;
            writeln!(io::stdout(), "{rate:.0} {total} {lost}")?;
        }
        What::Single { listen, far } => single::relay(listen, far)?,
        What::Sink { at } => writeln!(io::stdout(), "{}", served::sink(at).await?)?,
        What::Source { at, bytes } => served::source(at, bytes).await?,
        What::Echo { at } => served::echo(at).await?,
        What::Pour { bytes } => served::pour(bytes)?,
        What::Drain => writeln!(io::stdout(), "{}", served::drain()?)?,
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let command = Command::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(run(command.what));
    // What still runs has no end of its own.
    runtime.shutdown_background();
    done
}
