use claviger_core::proxy::TrustedProxies;
use claviger_gateway::FrontSettings;

use crate::fixture::{Fixture, Raw, Setup, open_door};

/// What the control plane is told of where a request comes from.
async fn address_told(raw: &mut Raw, headers: &str) -> String {
    raw.write(&format!("GET /api HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")).await;
    let answer = raw.read_to_end().await;
    answer.rsplit("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_control_plane_is_told_where_a_request_comes_from() {
    let fixture = Fixture::new().await;
    let lie = "x-forwarded-for: 203.0.113.9\r\n";
    assert_eq!(address_told(&mut fixture.connect().await, lie).await, "127.0.0.1");
    fixture.close().await;

    let door = FrontSettings { trusted_proxies: TrustedProxies::new(["127.0.0.0/8"]).unwrap(), ..open_door() };
    let fixture = Fixture::open(Setup { door, ..Setup::default() }, |_| {}).await;
    for (headers, expected) in [
        ("", "127.0.0.1"),
        ("x-forwarded-for: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.2\r\n", "203.0.113.9"),
        ("forwarded: for=1.1.1.1, for=\"[2001:db8::1]:80\"\r\n", "2001:db8::1"),
    ] {
        assert_eq!(address_told(&mut fixture.connect().await, headers).await, expected, "{headers}");
    }
    fixture.close().await;
}
