//! Where the enclave listens, and the two kinds of socket behind it.

use crate::Error;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where the enclave listens. As text: `unix:/path`, `/path`, or a numeric loopback address with port.
///
/// TCP is for platforms whose Unix sockets cannot be reached from the host, such as Gramine. The RPC has no
/// authentication of its own, so any address other than loopback is refused here, and again at bind and
/// connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix stream socket at an absolute path.
    Unix(PathBuf),
    /// TCP on a loopback address.
    Tcp(SocketAddr),
}

impl Endpoint {
    /// # Errors
    ///
    /// [`Error::EndpointNotLoopback`] if it can be reached from other machines.
    pub fn require_local(&self) -> Result<(), Error> {
        match self {
            Self::Unix(_) => Ok(()),
            Self::Tcp(address) => require_loopback(*address),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let address = text.parse().map_err(|_| Error::EndpointInvalid(text.to_owned()))?;
        require_loopback(address)?;
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn bind(endpoint: &Endpoint) -> Result<Self, Error> {
        match endpoint {
            Endpoint::Unix(path) => Ok(Self::Unix(bind_private(path)?)),
            Endpoint::Tcp(address) => {
                require_loopback(*address)?;
                Ok(Self::Tcp(TcpListener::bind(address)?))
            }
        }
    }

    /// Where clients find this listener, with the port that the kernel chose if port 0 was given.
    pub(crate) fn reachable_at(&self, requested: &Endpoint) -> Result<Endpoint, Error> {
        match self {
            Self::Unix(_) => Ok(requested.clone()),
            Self::Tcp(listener) => Ok(Endpoint::Tcp(listener.local_addr()?)),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept()?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    /// Makes a blocked [`accept`](Self::accept), and every later one, return an error (Linux semantics).
    pub(crate) fn close(&self) {
        let fd = match self {
            Self::Unix(listener) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        };
        let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Both);
    }
}

pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub(crate) fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<Self, Error> {
        match endpoint {
            Endpoint::Unix(path) => Ok(Self::Unix(connect_unix(path, timeout)?)),
            Endpoint::Tcp(address) => {
                require_loopback(*address)?;
                let stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    pub(crate) fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(read).and_then(|()| stream.set_write_timeout(write))
            }
            Self::Tcp(stream) => stream.set_read_timeout(read).and_then(|()| stream.set_write_timeout(write)),
        }
    }

    /// Ends both directions. Other threads that read or write on the connection get an error or its end.
    pub(crate) fn close(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    /// Writes what fits into the socket's buffer now, and returns how much that was.
    pub(crate) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::io::Errno;
        use rustix::net::{SendFlags, send};
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match send(self.as_fd(), rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(n) => written += n,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).read(buffer),
            Stream::Tcp(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&mut &*stream).write(bytes),
            Stream::Tcp(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn require_loopback(address: SocketAddr) -> Result<(), Error> {
    if address.ip().is_loopback() { Ok(()) } else { Err(Error::EndpointNotLoopback(address)) }
}

/// Binds a socket that was never accessible to anyone else: it is made in a directory of mode 0700, set to
/// mode 0600, and then moved to its place. (The umask would do this as well, but it belongs to every thread
/// of the process.) The socket file of a dead process is replaced. A socket that answers is not, and neither
/// is a file of another kind.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    require_free(path)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let private = parent.join(format!(".tcs-{}-{unique}", std::process::id()));
    fs::DirBuilder::new().mode(0o700).create(&private)?;
    let socket = private.join("s");
    let bound = UnixListener::bind(&socket).and_then(|listener| {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        fs::rename(&socket, path)?;
        Ok(listener)
    });
    if bound.is_err() {
        let _ = fs::remove_file(&socket);
    }
    let _ = fs::remove_dir(&private);
    bound
}

fn require_free(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    match connect_unix(path, Duration::from_secs(1)) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// The send timeout also bounds `connect`, which waits while the listener's backlog is full (unix(7),
/// socket(7)).
fn connect_unix(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
    };
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(
        &socket,
        sockopt::Timeout::Send,
        Some(timeout.max(Duration::from_millis(1))),
    )?;
    connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_paths_or_loopback() {
        let parse = |text: &str| text.parse::<Endpoint>();
        assert_eq!(parse("unix:/run/tcs.sock").unwrap(), Endpoint::Unix("/run/tcs.sock".into()));
        assert_eq!(parse("/run/tcs.sock").unwrap(), Endpoint::Unix("/run/tcs.sock".into()));
        assert_eq!(parse("127.0.0.1:7443").unwrap().to_string(), "127.0.0.1:7443");
        assert_eq!(parse("[::1]:7443").unwrap().to_string(), "[::1]:7443");
        for other in ["0.0.0.0:7443", "192.0.2.1:1", "[::]:7443", "[2001:db8::1]:7443"] {
            assert_eq!(parse(other).unwrap_err().code(), "EndpointNotLoopback", "{other}");
        }
        for other in ["", "unix:relative", "localhost:7443", "127.0.0.1", "tcp://127.0.0.1:1"] {
            assert_eq!(parse(other).unwrap_err().code(), "EndpointInvalid", "{other}");
        }
        let open = Endpoint::Tcp("0.0.0.0:0".parse().unwrap());
        assert_eq!(Listener::bind(&open).err().unwrap().code(), "EndpointNotLoopback");
    }

    #[test]
    fn the_socket_is_private_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = Listener::bind(&Endpoint::Unix(path.clone())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dead_socket_is_replaced_but_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let endpoint = Endpoint::Unix(path.clone());
        let listener = Listener::bind(&endpoint).unwrap();
        let Err(Error::Io(error)) = Listener::bind(&endpoint) else { panic!("bound twice") };
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        Listener::bind(&endpoint).unwrap();

        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a socket").unwrap();
        assert!(Listener::bind(&endpoint).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "not a socket");
    }
}
