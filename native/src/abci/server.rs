//! The socket: one thread that takes connections, one for each connection, all stoppable.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufReader, BufWriter, ErrorKind, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tendermint_proto::v0_38::abci::{Response, ResponseException, request, response};

use super::inbox::Inbox;
use super::{fail, frame};
use crate::error::{Class, Error};

/// CometBFT opens four; a restarted one opens four more while the old ones end.
const MAX_CONNECTIONS: usize = 16;
/// Answers written at once.
const TOGETHER: usize = 32;
/// Longest path of a unix socket, bytes.
const MAX_PATH: usize = 107;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answer one request. An error of class `Unavailable` ends the connection without an answer; any other is told to
    /// CometBFT as an exception, and everything stops.
    fn handle(&self, request: request::Value) -> Result<response::Value, Error>;

    /// Nothing is answered any more, because of `failure` or because the server was stopped: wake all who wait.
    fn close(&self, failure: Option<&Error>);

    /// All connections have ended: wait for what still runs.
    fn finish(&self) {}
}

/// A listening server.
pub struct Server(Arc<Shared>);

struct Shared {
    handler: Arc<dyn Handler>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    stopping: bool,
    path: Option<PathBuf>,
    /// The listening socket, to wake the thread that accepts.
    listener: Option<UnixStream>,
    streams: HashMap<u64, UnixStream>,
    next: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// A server that does not listen yet.
    pub fn new(handler: Arc<dyn Handler>) -> Self {
        Self(Arc::new(Shared { handler, open: Mutex::default() }))
    }

    /// Bind (mode 0600) and take connections. Errors: `abci.socket-path`, `abci.socket-busy`, `abci.socket`,
    /// `abci.listening`, `abci.stopped`.
    pub fn listen(&self, path: &Path) -> Result<(), Error> {
        let mut open = self.0.lock();
        if open.stopping {
            return Err(fail::gone("the server was stopped"));
        }
        if open.listener.is_some() {
            return Err(Error::new(Class::Conflict, "abci.listening", "the server listens already"));
        }
        let listener = bind(path)?;
        let waker = listener.try_clone().map_err(|error| unusable(path, &error))?;
        open.listener = Some(UnixStream::from(OwnedFd::from(waker)));
        open.path = Some(path.to_path_buf());
        let shared = Arc::clone(&self.0);
        open.threads.push(thread::spawn(move || shared.accept(&listener)));
        Ok(())
    }

    /// Close the socket and all connections, and wait for their threads. May be called again.
    pub fn stop(&self) {
        self.0.shut(None);
        let threads = std::mem::take(&mut self.0.lock().threads);
        // A thread that panicked has ended too.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        self.0.handler.finish();
    }

    /// Close the socket and all connections without waiting.
    pub fn shut(&self, failure: &Error) {
        self.0.shut(Some(failure));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self, failure: Option<&Error>) {
        self.halt(failure);
        self.disconnect();
    }

    /// Nothing is answered any more, nobody is let in.
    fn halt(&self, failure: Option<&Error>) {
        let mut open = self.lock();
        if std::mem::replace(&mut open.stopping, true) {
            return;
        }
        self.handler.close(failure);
        // What is closed or gone already says so; nothing is left to do for it.
        if let Some(path) = open.path.take() {
            let _ = fs::remove_file(path);
        }
        if let Some(listener) = open.listener.take() {
            let _ = listener.shutdown(Shutdown::Both);
        }
    }

    fn disconnect(&self) {
        self.lock().streams.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        loop {
            let taken = listener.accept();
            let mut open = self.lock();
            if open.stopping {
                return;
            }
            match taken {
                Ok((stream, _)) => self.start(&mut open, stream),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    drop(open);
                    let error = fail::protocol("abci.socket", format!("the socket takes no connections: {error}"));
                    return self.shut(Some(&error));
                }
            }
        }
    }

    fn start(self: &Arc<Self>, open: &mut Open, stream: UnixStream) {
        open.threads.retain(|thread| !thread.is_finished());
        if open.streams.len() >= MAX_CONNECTIONS {
            return;
        }
        let Ok(kept) = stream.try_clone() else { return };
        let id = open.next;
        open.next += 1;
        open.streams.insert(id, kept);
        let shared = Arc::clone(self);
        open.threads.push(thread::spawn(move || {
            // How a connection ends is no failure: CometBFT was stopped, or comes again.
            let _ = shared.serve(&stream);
            shared.lock().streams.remove(&id);
        }));
    }

    fn serve(&self, stream: &UnixStream) -> Result<(), Error> {
        let input = BufReader::with_capacity(1 << 16, stream);
        let inbox = Inbox::default();
        thread::scope(|scope| {
            scope.spawn(|| inbox.fill(input));
            let served = self.answer_all(&inbox, stream);
            inbox.close();
            // Ends the reading; it has ended already where the peer closed.
            let _ = stream.shutdown(Shutdown::Both);
            served
        })
    }

    fn answer_all(&self, inbox: &Inbox, stream: &UnixStream) -> Result<(), Error> {
        let mut output = BufWriter::with_capacity(1 << 16, stream);
        loop {
            for (place, arrived) in inbox.take().into_iter().enumerate() {
                // Answers travel together where requests came together, but not all too late.
                if place % TOGETHER == TOGETHER - 1 {
                    output.flush().map_err(frame::closed)?;
                }
                // A broken message breaks its connection; what the application cannot answer stops it altogether.
                let (answered, fatal) = match arrived {
                    Ok(None) => return Ok(()),
                    Ok(Some(value)) => (self.answer(value), true),
                    Err(error) => (Err(error), false),
                };
                match answered {
                    Ok(value) => frame::write(&mut output, &Response { value: Some(value) })?,
                    Err(error) if error.class == Class::Unavailable => return Err(error),
                    Err(error) => {
                        if fatal {
                            self.halt(Some(&error));
                        }
                        // Nobody may be there to be told.
                        let _ = frame::write(&mut output, &exception(&error));
                        let _ = output.flush();
                        if fatal {
                            self.disconnect();
                        }
                        return Err(error);
                    }
                }
            }
            output.flush().map_err(frame::closed)?;
        }
    }

    fn answer(&self, value: request::Value) -> Result<response::Value, Error> {
        // Locks that a panic poisons guard data that is whole between statements; and everything stops with it.
        catch_unwind(AssertUnwindSafe(|| self.handler.handle(value)))
            .unwrap_or_else(|_| Err(fail::protocol("native.panic", "the application failed inside a request")))
    }
}

fn exception(error: &Error) -> Response {
    let text = format!("{} [{}] {}", error.message, error.code, error.hint);
    Response { value: Some(response::Value::Exception(ResponseException { error: text })) }
}

fn bind(path: &Path) -> Result<UnixListener, Error> {
    let length = path.as_os_str().len();
    let name = path.file_name().unwrap_or_default();
    if length > MAX_PATH || name.is_empty() {
        let error =
            fail::invalid("abci.socket-path", format!("the socket's path has {length} bytes, at most 107 work"));
        return Err(error.numbers(107, length as u64).hint("put the socket into a folder with a shorter path"));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let error = fail::invalid("abci.socket-path", format!("{} exists and is no socket", path.display()));
            return Err(error.hint("give a path of its own to the socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            let error = Error::new(Class::Conflict, "abci.socket-busy", format!("{} is in use", path.display()));
            return Err(error.hint("another process of this node still runs: stop it first"));
        }
        _ => {}
    }
    // Made under another name of the same length, so that it is nobody else's when it appears under its own.
    let fresh = path.with_file_name(OsStr::from_bytes(&[b"~", &name.as_bytes()[1..]].concat()));
    let bound = || {
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        fs::rename(&fresh, path)?;
        Ok(listener)
    };
    bound().map_err(|error: std::io::Error| unusable(path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Class::Unavailable, "abci.socket", format!("cannot listen at {}: {error}", path.display()))
        .hint("check the folder and its permissions")
}
