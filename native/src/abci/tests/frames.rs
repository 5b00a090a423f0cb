//! Bytes that are no messages harm nobody but their connection.

use std::io::{Read, Write};

use prost::Message;
use tendermint_proto::v0_38::abci::RequestEcho;

use super::*;
use crate::abci::frame::MAX_FRAME;

fn varint(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push((number & 0x7f | 0x80) as u8);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

#[test]
fn a_message_that_is_none_ends_its_connection_and_no_other() {
    let node = Node::found(1);
    let mut other = node.begin();
    for bytes in [
        // Longer than any message, and a length that never ends.
        varint(MAX_FRAME + 1),
        vec![0xff; 10],
        // Not protobuf, an unknown request, no request.
        vec![3, 0xff, 0xff, 0xff],
        vec![3, 0xfa, 0x07, 0],
        vec![0],
        // A request whose length inside is wrong.
        vec![4, 0x0a, 0x09, 0x0a, 0x01],
    ] {
        let mut client = node.connect();
        client.output.write_all(&bytes).expect("sent");
        match client.receive() {
            Some(response::Value::Exception(exception)) => {
                assert!(exception.error.contains("[abci.frame]"), "{bytes:?}")
            }
            answer => panic!("{bytes:?}: {answer:?}"),
        }
        assert!(client.receive().is_none());
    }
    // Torn: nobody is left to be told.
    let mut client = node.connect();
    client.output.write_all(&[200, 1, 0x0a]).expect("sent");
    client.output.shutdown(std::net::Shutdown::Write).expect("closed");
    assert_eq!(client.input.read_to_end(&mut Vec::new()).expect("ends"), 0);
    assert_eq!(other.info().last_block_height, 0);
    assert!(node.application.failure().is_none());
}

#[test]
fn requests_that_come_together_are_answered_in_order() {
    let node = Node::found(1);
    let mut client = node.connect();
    let mut bytes = Vec::new();
    for n in 0..500 {
        let echo = Request { value: Some(request::Value::Echo(RequestEcho { message: "x".repeat(n * 7) })) };
        bytes.extend(echo.encode_length_delimited_to_vec());
    }
    let mut output = client.output.try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || output.write_all(&bytes));
    for n in 0..500 {
        match client.receive() {
            Some(response::Value::Echo(echo)) => assert_eq!(echo.message.len(), n * 7),
            other => panic!("{other:?}"),
        }
    }
    sender.join().expect("ends").expect("sent");
}

#[test]
fn connections_are_bounded_and_come_again() {
    let node = Node::found(1);
    let mut held: Vec<_> = (0..16).map(|_| node.connect()).collect();
    held.iter_mut().for_each(|client| assert_eq!(client.info().last_block_height, 0));
    assert!(node.connect().receive().is_none());
    held.truncate(8);
    // The place of one that ended is free as soon as its thread has seen the end.
    let deadline = std::time::Instant::now() + PATIENCE;
    let taken = || node.connect().ask(request::Value::Info(RequestInfo::default())).is_ok();
    while !taken() {
        assert!(std::time::Instant::now() < deadline, "never taken");
        std::thread::yield_now();
    }
}

#[test]
fn the_socket_is_taken_over_from_the_dead_and_not_from_the_living() {
    let node = Node::found(1);
    let listens = |path: &std::path::Path| {
        let application = Application::new(Arc::clone(&node.chain), &node.file, None, None).expect("starts");
        let server = Server::new(Arc::new(application) as Arc<dyn Handler>);
        server.listen(path).err().map_or("listens", |error| error.code)
    };
    assert_eq!(listens(&node.path), "abci.socket-busy");
    let place = |name: &str| node.path.with_file_name(name);
    drop(std::os::unix::net::UnixListener::bind(place("dead.sock")).expect("bound"));
    assert_eq!(listens(&place("dead.sock")), "listens");
    std::fs::write(place("file"), b"x").expect("written");
    assert_eq!(listens(&place("file")), "abci.socket-path");
    assert_eq!(listens(&place(&"x".repeat(110))), "abci.socket-path");
    assert_eq!(listens(std::path::Path::new("/nowhere/app.sock")), "abci.socket");
    assert_eq!(node.server.listen(&place("second.sock")).err().map(|error| error.code), Some("abci.listening"));
}
