//! The engine that copies: the pump over streams in memory, and a forwarded pair of socket pairs, whose bulk is spliced.
//! Absent: TCP, other processes and other threads; the feeder and the drain share the thread, so that CPU is all it costs.

use std::future::poll_fn;

use criterion::{Criterion, Throughput};
use netkit::connection::pump::{Across, Pump};
use netkit::connection::{Address, Facts, Stream};
use netkit::relay::forward::forward;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// What a bulk transfer moves: enough for its beginning and its end not to show.
const BULK: usize = 16 << 20;

/// What is written at once, and what a stream in memory holds.
const PIECE: usize = 256 << 10;

/// Messages there and back in a conversation of small ones.
const ROUNDS: usize = 500;

const MESSAGE: usize = 64;

async fn feed(mut to: impl AsyncWrite + Unpin, length: usize) {
    let piece = vec![7; PIECE];
    let mut left = length;
    while left > 0 {
        let now = left.min(PIECE);
        to.write_all(&piece[..now]).await.unwrap();
        left -= now;
    }
    to.shutdown().await.unwrap();
}

async fn drain(mut from: impl AsyncRead + Unpin) -> usize {
    let mut buf = vec![0; PIECE];
    let mut got = 0;
    loop {
        match from.read(&mut buf).await.unwrap() {
            0 => return got,
            length => got += length,
        }
    }
}

/// From one stream in memory to the next.
async fn pumped() {
    let (source, mut from) = duplex(PIECE);
    let (mut to, sink) = duplex(PIECE);
    let mut pump = Pump::default();
    let mut ends = Across {
        from: &mut from,
        to: &mut to,
    };
    let moved = poll_fn(|cx| pump.poll(cx, &mut ends));
    let (moved, got, ()) = tokio::join!(moved, drain(sink), feed(source, BULK));
    moved.unwrap();
    assert_eq!(got, BULK);
}

fn stream(socket: UnixStream, hidden: bool) -> Stream {
    let stream = Stream::new(socket, Facts::new(Address::Unnamed, Address::Unnamed));
    match hidden {
        // Something that stands in front of the socket, as a layer does, and costs nothing itself.
        true => stream.map(|io| io),
        false => stream,
    }
}

/// All of it one way, while the other direction ends at once.
async fn forwarded(hidden: bool) {
    let (source, client) = UnixStream::pair().unwrap();
    let (target, sink) = UnixStream::pair().unwrap();
    let forwarding = forward(stream(client, hidden), stream(target, hidden), None);
    let sinking = async {
        let (reader, mut writer) = sink.into_split();
        writer.shutdown().await.unwrap();
        drain(reader).await
    };
    let (parted, got, ()) = tokio::join!(forwarding, sinking, feed(source, BULK));
    assert!(parted.is_ok());
    assert_eq!(got, BULK);
}

/// One small message after the other, there and back.
async fn conversed() {
    let (mut near, client) = UnixStream::pair().unwrap();
    let (target, mut far) = UnixStream::pair().unwrap();
    let forwarding = forward(stream(client, false), stream(target, false), None);
    let asking = async move {
        let mut message = [7; MESSAGE];
        for _ in 0..ROUNDS {
            near.write_all(&message).await.unwrap();
            near.read_exact(&mut message).await.unwrap();
        }
    };
    let answering = async move {
        let mut message = [0; MESSAGE];
        for _ in 0..ROUNDS {
            far.read_exact(&mut message).await.unwrap();
            far.write_all(&message).await.unwrap();
        }
    };
    let (parted, (), ()) = tokio::join!(forwarding, asking, answering);
    assert!(parted.is_ok());
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(crate) fn run(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Bytes(BULK as u64));
    group.bench_function("pump, streams in memory", |bench| {
        bench.iter(|| runtime.block_on(pumped()));
    });
    group.bench_function("forward, bare socket pairs (splice)", |bench| {
        bench.iter(|| runtime.block_on(forwarded(false)));
    });
    group.bench_function("forward, socket pairs behind a layer (buffer)", |bench| {
        bench.iter(|| runtime.block_on(forwarded(true)));
    });
    group.throughput(Throughput::Elements(ROUNDS as u64));
    group.bench_function("forward, 64 bytes there and back", |bench| {
        bench.iter(|| runtime.block_on(conversed()));
    });
    group.finish();
}
