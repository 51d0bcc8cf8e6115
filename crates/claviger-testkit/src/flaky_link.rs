//! A network that fails on demand.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A TCP proxy on a free loopback port in front of an address. It goes with this value, and its connections with it.
///
/// What is asked of it holds once the call returns: after [`FlakyLink::cut`] or [`FlakyLink::freeze`], nothing passes
/// but what another thread was writing at that very moment. A connection is *open* once the link has accepted it, a
/// moment after the client sees it come to stand: a test that means a certain one has it carry a byte first.
#[derive(Debug)]
pub struct FlakyLink {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The listener, with all connections.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    door: Door,
    open: HashMap<u64, watch::Sender<Flow>>,
    accepted: u64,
}

/// What a new connection meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Refusing,
    Frozen,
}

/// What a connection that is open does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Passes,
    Frozen,
    Cut,
}

/// That an end has broken off.
struct Broken;

impl FlakyLink {
    /// Listens, and passes everything on to `to`. Nobody has to listen there yet.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its own address");
        let state = Mutex::new(State { door: Door::Open, open: HashMap::new(), accepted: 0 });
        let shared = Arc::new(Shared { to, state });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, _tasks: tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections that are open now, frozen ones too. What new ones meet stays as it is.
    pub fn cut(&self) {
        for (_, flow) in self.state().open.drain() {
            flow.send_replace(Flow::Cut);
        }
    }

    /// From now on, new connections are accepted and closed at once. Open ones go on.
    pub fn refuse(&self) {
        self.state().door = Door::Refusing;
    }

    /// Lets new connections through again, after [`FlakyLink::refuse`].
    pub fn allow(&self) {
        let mut state = self.state();
        if state.door == Door::Refusing {
            state.door = Door::Open;
        }
    }

    /// Lets no byte pass any more, in neither direction, and tells no end that the other has closed: the network is
    /// dead and says nothing. New connections come to stand, and then meet the same.
    pub fn freeze(&self) {
        self.state().door = Door::Frozen;
        self.freeze_open();
    }

    /// Freezes the connections that are open now, and no others.
    pub fn freeze_open(&self) {
        self.set_flow(Flow::Frozen);
    }

    /// Ends every freeze: what was sent meanwhile on frozen connections flows on, as in a network that comes back.
    /// Where they must not come back, [`FlakyLink::cut`] them first.
    pub fn thaw(&self) {
        {
            let mut state = self.state();
            if state.door == Door::Frozen {
                state.door = Door::Open;
            }
        }
        self.set_flow(Flow::Passes);
    }

    /// How many connections are open, frozen ones among them, even if an end of theirs is gone.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state().open.len()
    }

    fn set_flow(&self, flow: Flow) {
        for open in self.state().open.values() {
            open.send_replace(flow);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it was locked")
    }
}

/// Accepts connections for ever. Dropping the future closes all of them.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted.expect("the link accepts");
                if let Some(open) = Open::enter(&shared) {
                    connections.spawn(open.relay(client));
                }
            }
            // Ended connections are taken out, or the set would grow for ever.
            Some(ended) = connections.join_next() => ended.expect("a connection ends without a panic"),
        }
    }
}

/// A connection in the list of those that are open, which leaves it with this value.
struct Open {
    shared: Arc<Shared>,
    number: u64,
    flow: watch::Receiver<Flow>,
}

impl Open {
    fn enter(shared: &Arc<Shared>) -> Option<Self> {
        let mut state = shared.state();
        let flow = match state.door {
            Door::Open => Flow::Passes,
            Door::Frozen => Flow::Frozen,
            Door::Refusing => return None,
        };
        let (sender, flow) = watch::channel(flow);
        state.accepted += 1;
        let number = state.accepted;
        state.open.insert(number, sender);
        drop(state);
        Some(Self { shared: Arc::clone(shared), number, flow })
    }

    async fn relay(self, client: TcpStream) {
        let mut flow = self.flow.clone();
        tokio::select! {
            // Looked at first, so that nothing passes once it is cut.
            biased;
            _ = flow.wait_for(|flow| *flow == Flow::Cut) => {}
            _ended = self.both_ways(client) => {}
        }
    }

    async fn both_ways(&self, mut client: TcpStream) -> Result<(), Broken> {
        let mut flow = self.flow.clone();
        passes(&mut flow).await?;
        let mut server = TcpStream::connect(self.shared.to).await.map_err(|_| Broken)?;
        for end in [&client, &server] {
            // On failure, small messages are only slower.
            let _ = end.set_nodelay(true);
        }
        let ((client_in, client_out), (server_in, server_out)) = (client.split(), server.split());
        let there = pass(client_in, server_out, flow.clone());
        let back = pass(server_in, client_out, flow);
        tokio::try_join!(there, back).map(|_| ())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.state().open.remove(&self.number);
    }
}

/// Passes on what comes in, up to its end.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut flow: watch::Receiver<Flow>,
) -> Result<(), Broken> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        passes(&mut flow).await?;
        let length = tokio::select! {
            biased;
            _ = flow.changed() => continue,
            read = from.read(&mut buffer) => read.map_err(|_| Broken)?,
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            passes(&mut flow).await?;
            tokio::select! {
                biased;
                _ = flow.changed() => {}
                written = to.write(rest) => rest = &rest[written.map_err(|_| Broken)?..],
            }
        }
        if length == 0 {
            passes(&mut flow).await?;
            return to.shutdown().await.map_err(|_| Broken);
        }
    }
}

/// Waits until bytes may pass.
async fn passes(flow: &mut watch::Receiver<Flow>) -> Result<(), Broken> {
    flow.wait_for(|flow| *flow == Flow::Passes).await.map(|_| ()).map_err(|_| Broken)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers every byte with itself, and an end with an end.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _broken = tokio::io::copy(&mut from, &mut to).await;
                    let _broken = to.shutdown().await;
                });
            }
        });
        (address, tasks)
    }

    /// A connection that has carried a byte, and so is open at the link.
    async fn connect(link: &FlakyLink) -> TcpStream {
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(answers(&mut stream).await);
        stream
    }

    async fn answers(stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(&[7]).await.is_ok() && stream.read_exact(&mut byte).await.is_ok() && byte == [7]
    }

    async fn is_closed(stream: &mut TcpStream) -> bool {
        matches!(stream.read(&mut [0]).await, Ok(0) | Err(_))
    }

    /// Whether nothing comes, not even an end, for longer than anything takes on the loopback.
    async fn is_silent(stream: &mut TcpStream) -> bool {
        tokio::time::timeout(Duration::from_millis(100), stream.read(&mut [0])).await.is_err()
    }

    async fn until_open(link: &FlakyLink, connections: usize) {
        while link.connections() != connections {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn bytes_and_ends_pass_in_both_directions() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let (mut from, mut to) = connect(&link).await.into_split();
        assert_eq!(link.connections(), 1);

        let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        let send = async {
            to.write_all(&bytes).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(send, from.read_to_end(&mut received));
        read.unwrap();
        assert!(received == bytes);
        until_open(&link, 0).await;
    }

    #[tokio::test]
    async fn a_cut_closes_what_is_open_and_lets_new_ones_through() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let (mut first, mut second) = (connect(&link).await, connect(&link).await);
        link.cut();
        assert_eq!(link.connections(), 0);
        assert!(is_closed(&mut first).await && is_closed(&mut second).await);
        connect(&link).await;
    }

    #[tokio::test]
    async fn refused_connections_are_closed_at_once_and_open_ones_go_on() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let mut open = connect(&link).await;
        link.refuse();
        let mut refused = TcpStream::connect(link.address()).await.unwrap();
        assert!(is_closed(&mut refused).await);
        assert!(answers(&mut open).await);
        link.allow();
        connect(&link).await;
    }

    #[tokio::test]
    async fn a_frozen_link_is_silent_and_goes_on_when_it_is_thawed() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let mut open = connect(&link).await;
        link.freeze();
        let mut new = TcpStream::connect(link.address()).await.unwrap();
        for stream in [&mut open, &mut new] {
            stream.write_all(&[1, 2]).await.unwrap();
            assert!(is_silent(stream).await);
        }
        assert_eq!(link.connections(), 2);

        link.thaw();
        for stream in [&mut open, &mut new] {
            let mut bytes = [0; 2];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, [1, 2]);
        }
        connect(&link).await;
    }

    #[tokio::test]
    async fn what_is_open_freezes_alone_and_does_not_see_the_other_end_close() {
        let (address, echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let mut open = connect(&link).await;
        link.freeze_open();
        let mut new = connect(&link).await;
        assert!(answers(&mut new).await);

        drop(echo);
        assert!(is_closed(&mut new).await);
        assert!(is_silent(&mut open).await);
        link.cut();
        assert!(is_closed(&mut open).await);
    }

    #[tokio::test]
    async fn what_does_not_fit_into_a_frozen_link_stays_with_the_sender() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let mut open = connect(&link).await;
        link.freeze();
        let flood = vec![0; 64 << 20];
        let sent = tokio::time::timeout(Duration::from_millis(100), open.write_all(&flood)).await;
        assert!(sent.is_err());
    }

    #[tokio::test]
    async fn a_connection_is_closed_where_nobody_listens_behind_the_link() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let link = FlakyLink::start(free).await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        assert!(is_closed(&mut stream).await);
        until_open(&link, 0).await;
    }

    #[tokio::test]
    async fn a_dropped_link_is_gone_with_its_connections() {
        let (address, _echo) = echo().await;
        let link = FlakyLink::start(address).await;
        let (mut open, at) = (connect(&link).await, link.address());
        link.freeze();
        drop(link);
        assert!(is_closed(&mut open).await);
        assert!(TcpStream::connect(at).await.is_err());
    }
}
