//! A real Valkey. As clients, it has its command line client and bare sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use claviger_test_services::Valkey;

fn connect(valkey: &Valkey) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, valkey.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().trim_end().to_owned()
}

#[test]
fn it_answers_on_its_port_without_a_password() {
    let valkey = Valkey::start().unwrap();
    assert_eq!(valkey.url(), format!("redis://127.0.0.1:{}", valkey.port()));
    assert_eq!(ask(&mut connect(&valkey), "SET a 1"), "+OK");
    assert_eq!(valkey.command(&["GET", "a"]).unwrap(), "1");
    let error = valkey.command(&["LPUSH", "a", "1"]).unwrap_err().to_string();
    assert!(error.contains("WRONGTYPE"), "{error}");
}

#[test]
fn one_with_a_password_refuses_a_wrong_one() {
    let valkey = Valkey::start_with_password().unwrap();
    assert_eq!(valkey.command(&["PING"]).unwrap(), "PONG");
    let mut stream = connect(&valkey);
    assert!(ask(&mut stream, "PING").starts_with("-NOAUTH"));
    assert!(ask(&mut stream, "AUTH wrong").starts_with("-WRONGPASS"));
    let url = valkey.url();
    let password = url.strip_prefix("redis://:").and_then(|rest| rest.split_once('@')).unwrap().0;
    assert_eq!(ask(&mut stream, &format!("AUTH {password}")), "+OK");
}

#[test]
fn stopped_and_started_again_it_is_empty_and_has_its_port() {
    let mut valkey = Valkey::start().unwrap();
    let port = valkey.port();
    let mut stream = connect(&valkey);
    assert_eq!(ask(&mut stream, "SET a 1"), "+OK");

    valkey.stop().unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    valkey.start_again().unwrap();
    assert_eq!(valkey.port(), port);
    assert_eq!(ask(&mut connect(&valkey), "EXISTS a"), ":0");
}

#[test]
fn a_frozen_one_does_not_answer_until_it_is_thawed() {
    let mut valkey = Valkey::start().unwrap();
    let mut stream = connect(&valkey);
    assert_eq!(ask(&mut stream, "PING"), "+PONG");

    valkey.freeze().unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let silence = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    valkey.thaw().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(answer(&mut stream), "+PONG");

    valkey.freeze().unwrap();
    valkey.stop().unwrap();
    valkey.start_again().unwrap();
    valkey.freeze().unwrap();
    let port = valkey.port();
    drop(valkey);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn a_cluster_of_one_node_has_all_slots_also_after_a_restart() {
    let mut valkey = Valkey::start_cluster().unwrap();
    let is_whole = |valkey: &Valkey| {
        let info = valkey.command(&["CLUSTER", "INFO"]).unwrap();
        assert!(info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384"), "{info}");
        assert_eq!(ask(&mut connect(valkey), "SET a 1"), "+OK");
        let slots = valkey.command(&["CLUSTER", "SLOTS"]).unwrap();
        assert!(slots.starts_with(&format!("0\n16383\n127.0.0.1\n{}\n", valkey.port())), "{slots}");
    };
    is_whole(&valkey);
    valkey.stop().unwrap();
    valkey.start_again().unwrap();
    is_whole(&valkey);
}

#[test]
fn one_with_a_certificate_speaks_tls_and_nothing_else() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let valkey = Valkey::start_with_tls(&made.cert.pem(), &made.signing_key.serialize_pem()).unwrap();
    assert_eq!(valkey.url(), format!("rediss://127.0.0.1:{}", valkey.port()));
    assert_eq!(valkey.command(&["PING"]).unwrap(), "PONG");

    let mut plain = connect(&valkey);
    plain.write_all(b"PING\r\n").unwrap();
    let mut answer = Vec::new();
    let _broken_off = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"+"), "{answer:?}");
    // The start of a handshake: the server answers in TLS, if only that it cannot go on.
    let mut tls = connect(&valkey);
    tls.write_all(&[22, 3, 1, 0, 4, 1, 0, 0, 0]).unwrap();
    tls.read_exact(&mut [0]).unwrap();
}
