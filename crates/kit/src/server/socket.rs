//! A connection's bytes, above TLS. It outlives the connection's HTTP where that is upgraded to
//! WebSocket, and so does its place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::{counter, gauge};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::connections::Place;
use super::frames::Frames;
use super::metrics::{CONNECTIONS, ENDED};

/// How long the rest of a body that nobody reads is taken in before a connection is closed: the
/// reset that follows unread bytes would overtake the answer.
const LINGER: Duration = Duration::from_secs(2);

/// What a peer that keeps writes waiting must take on the whole, in bytes a second, once it has had
/// its first time-out. It is half of an event of one token.
const MIN_RATE: u64 = 128;

/// A connection that ends when its peer takes nothing for too long, or next to nothing.
pub struct Socket<IO> {
    io: IO,
    activity: Arc<Activity>,
    frames: Frames,
    write_timeout: Option<Duration>,
    reader: Reader,
    lingering: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

/// Bytes that can be thrown away.
pub trait Reset {
    /// Closing sends nothing any more: what waits in the kernel would otherwise be sent on to a
    /// reader that takes it as slowly as it likes.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Reset for UnixStream {
    fn reset(&self) {}
}

impl<IO: Reset> Reset for TlsStream<IO> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

impl<IO: AsyncRead + AsyncWrite + Reset + Unpin> Socket<IO> {
    pub fn new(
        io: IO,
        activity: Arc<Activity>,
        write_timeout: Option<Duration>,
        place: Place,
    ) -> Self {
        gauge!(CONNECTIONS).increment(1);
        Self {
            io,
            activity,
            frames: Frames::default(),
            write_timeout,
            reader: Reader::default(),
            lingering: None,
            _place: place,
        }
    }

    /// What a write has come to, of which `count` says how many bytes it took, or an error when
    /// writes have waited for too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        count: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let Some(limit) = self.write_timeout else {
            return written;
        };
        if let Poll::Ready(written) = written {
            self.reader.take(written.as_ref().map_or(0, count));
            return Poll::Ready(written);
        }
        ready!(self.reader.poll_late(context, limit));
        counter!(ENDED, "reason" => "write").increment(1);
        self.io.reset();
        let message = "the peer takes nothing";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }

    /// Takes in what the peer still sends, for a while.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = self
            .lingering
            .get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut waste = [0; 8 * 1024];
        loop {
            if time.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut waste = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut self.io).poll_read(context, &mut waste));
            if read.is_err() || waste.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

/// How fast the peer reads, once it has kept a write waiting.
#[derive(Default)]
struct Reader {
    /// How long writes have waited in all, but for the one that waits.
    waited: Duration,
    /// What it has taken since the first one did.
    bytes: u64,
    /// Since when a write waits, and what runs meanwhile.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Reader {
    /// It has taken so much.
    fn take(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if !self.waited.is_zero() {
            self.bytes = self.bytes.saturating_add(bytes as u64);
        }
    }

    /// Completes when the write that waits has waited for too long.
    fn poll_late(&mut self, context: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let (_, late) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            let earned = Duration::from_millis(self.bytes.saturating_mul(1000) / MIN_RATE);
            let left = limit.saturating_add(earned).saturating_sub(self.waited);
            (now, Box::pin(sleep(left.min(limit))))
        });
        late.as_mut().poll(context)
    }
}

impl<IO: AsyncRead + AsyncWrite + Reset + Unpin> AsyncRead for Socket<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        let fresh = &buffer.filled()[before..];
        if !fresh.is_empty() {
            self.activity.heard();
            let pieces = self.activity.pieces();
            if !self.frames.take(fresh, pieces) {
                self.activity.flooded();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Reset + Unpin> AsyncWrite for Socket<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.in_time(context, written, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.in_time(context, written, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.in_time(context, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.io).poll_shutdown(context);
        ready!(self.in_time(context, shut, |()| 0))?;
        if self.activity.is_unread() {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO> Drop for Socket<IO> {
    fn drop(&mut self) {
        gauge!(CONNECTIONS).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::super::connections::Connections;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    impl Reset for DuplexStream {
        fn reset(&self) {}
    }

    /// A socket that is written to without end, and its peer.
    async fn pair() -> (Socket<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(64);
        let connections = Connections::new(&Default::default());
        let room = connections.room().await.unwrap();
        let Ok(place) = connections.admit(room, None) else {
            panic!("there is room")
        };
        let limit = Some(30 * SECOND);
        (Socket::new(here, Activity::new(), limit, place), there)
    }

    /// How long a peer that takes so many bytes each second is written to; `None`: an hour.
    async fn lasts(bytes: usize) -> Option<Duration> {
        let (mut socket, mut peer) = pair().await;
        let begun = Instant::now();
        let write = async { while socket.write_all(&[0; 1024]).await.is_ok() {} };
        let read = async {
            let mut piece = vec![0; bytes];
            loop {
                peer.read_exact(&mut piece).await.unwrap();
                sleep(SECOND).await;
            }
        };
        let ended = timeout(3600 * SECOND, async {
            tokio::select! {
                () = write => begun.elapsed(),
                never = read => never,
            }
        });
        ended.await.ok()
    }

    /// LIFE-5: a reader that takes a little, again and again, cannot hold an answer for ever.
    #[tokio::test(start_paused = true)]
    async fn life_5_a_reader_must_take_something_on_the_whole() {
        let stopped = lasts(0).await.unwrap();
        assert_eq!(stopped, 30 * SECOND);
        let next_to_nothing = lasts(32).await.unwrap();
        assert!(next_to_nothing < 60 * SECOND, "{next_to_nothing:?}");
        // An event of a token each second.
        assert_eq!(lasts(250).await, None);
    }
}
