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
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::connections::Place;
use super::frames::{Cursor, ENHANCE_YOUR_CALM, Frames};
use super::metrics::{CONNECTIONS, ENDED};
use super::pace::Pace;

/// How long the rest of a body that nobody reads is taken in before a connection is closed: the
/// reset that follows unread bytes would overtake the answer.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that ends when its peer takes nothing for too long, or next to nothing.
pub struct Socket<IO> {
    io: IO,
    activity: Arc<Activity>,
    frames: Frames,
    write_timeout: Option<Duration>,
    pace: Pace,
    /// Frames that are sent.
    sent: Cursor,
    /// The peer was cut off, and of what it is told so many bytes were sent.
    cut_off: Option<usize>,
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
            pace: Pace::default(),
            sent: Cursor::default(),
            cut_off: None,
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
            self.pace.take(written.as_ref().map_or(0, count) as u64);
            return Poll::Ready(written);
        }
        ready!(self.pace.poll_late(context, limit));
        counter!(ENDED, "reason" => "write").increment(1);
        self.io.reset();
        let message = "the peer takes nothing";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)))
    }

    /// How many of so many bytes may be sent: all of them, or of a peer that was cut off what is
    /// left of a frame. Then it is told so, which comes to an error.
    fn poll_allowed(
        &mut self,
        context: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(said) = &mut self.cut_off else {
            return Poll::Ready(Ok(wanted));
        };
        let left = self.sent.left();
        if left > 0 {
            return Poll::Ready(Ok(wanted.min(left)));
        }
        while *said < ENHANCE_YOUR_CALM.len() {
            let rest = &ENHANCE_YOUR_CALM[*said..];
            *said += ready!(Pin::new(&mut self.io).poll_write(context, rest))?.max(1);
        }
        ready!(Pin::new(&mut self.io).poll_shutdown(context))?;
        ready!(self.poll_linger(context));
        let message = "the peer only makes work";
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            message,
        )))
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
            if self.cut_off.is_none() && !self.frames.take(fresh, pieces) {
                self.cut_off = Some(0);
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
        let bytes = &bytes[..ready!(self.poll_allowed(context, bytes.len()))?];
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        let count = ready!(self.in_time(context, written, |count| *count))?;
        if !self.frames.are_http2() || self.sent.pass(&bytes[..count]) {
            self.activity.sent();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.cut_off.is_some() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |slice| slice));
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        let count = ready!(self.in_time(context, written, |count| *count))?;
        let mut body = !self.frames.are_http2();
        if !body {
            let mut left = count;
            for slice in slices {
                let sent = &slice[..slice.len().min(left)];
                body |= self.sent.pass(sent);
                left -= sent.len();
            }
        }
        if body {
            self.activity.sent();
        }
        Poll::Ready(Ok(count))
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
    use tokio::time::{Instant, timeout};

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
        let next_to_nothing = lasts(8).await.unwrap();
        assert!(next_to_nothing < 60 * SECOND, "{next_to_nothing:?}");
        // The smallest event of a token, each second.
        assert_eq!(lasts(80).await, None);
    }
}
