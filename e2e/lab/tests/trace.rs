//! Ways through network namespaces with routers of their own, joined by pairs of virtual cards. The tests make them, and need root for that; what
//! is tested needs none.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    net::TcpListener,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use waypost_engine::net::{Egress, Net, NetConfig};
use waypost_types::outcome::{PathTrace, TraceEnd};

/// Namespaces in a row: ours, two routers, and the host.
const ROW: [&str; 4] = ["a", "r1", "r2", "b"];

/// A little internet: `10.99.1.0/24` is between us and the first router, and so on; the same of `fd99:`.
struct World {
    prefix: String,
}

fn run(command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{command}: {} (root is needed to make network namespaces)", String::from_utf8_lossy(&output.stderr));
}

impl World {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let world = Self { prefix: format!("wp{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)) };
        for name in ROW {
            run(&format!("ip netns add {}{name}", world.prefix));
            world.ip(name, "link set lo up");
        }
        for (number, pair) in (1..).zip(ROW.windows(2)) {
            let [from, to] = [pair[0], pair[1]];
            world.ip(from, &format!("link add right type veth peer name left netns {}{to}", world.prefix));
            for (name, card, last) in [(from, "right", 1), (to, "left", 2)] {
                world.ip(name, &format!("link set {card} up"));
                world.ip(name, &format!("addr add 10.99.{number}.{last}/24 dev {card}"));
                world.ip(name, &format!("addr add fd99:{number}::{last}/64 dev {card} nodad"));
            }
        }
        for router in ["r1", "r2"] {
            world.set(router, "net/ipv4/ip_forward", "1");
            world.set(router, "net/ipv6/conf/all/forwarding", "1");
            // Routers answer a few questions a second; these are asked one after the other.
            world.set(router, "net/ipv4/icmp_ratelimit", "0");
            world.set(router, "net/ipv6/icmp/ratelimit", "0");
        }
        for (name, to, via) in [("a", "default", "1"), ("r1", "3", "2"), ("b", "default", "3")] {
            let last = if name == "b" { 1 } else { 2 };
            let (v4, v6) = if to == "default" { (to.to_owned(), to.to_owned()) } else { (format!("10.99.{to}.0/24"), format!("fd99:{to}::/64")) };
            world.ip(name, &format!("route add {v4} via 10.99.{via}.{last}"));
            world.ip(name, &format!("-6 route add {v6} via fd99:{via}::{last}"));
        }
        world.ip("r2", "route add 10.99.1.0/24 via 10.99.2.1");
        world.ip("r2", "-6 route add fd99:1::/64 via fd99:2::1");
        world
    }

    fn ip(&self, name: &str, what: &str) {
        run(&format!("ip -n {}{name} {what}", self.prefix));
    }

    fn set(&self, name: &str, key: &str, value: &str) {
        let (path, file, value) = (format!("/run/netns/{}{name}", self.prefix), format!("/proc/sys/{key}"), value.to_owned());
        std::thread::spawn(move || {
            nix::sched::setns(std::fs::File::open(path).unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            std::fs::write(file, value).unwrap();
        })
        .join()
        .unwrap();
    }

    /// Follows a way from our end, by a thread that lives there.
    fn follow(&self, to: &str, egress: Egress) -> PathTrace {
        let (path, to) = (format!("/run/netns/{}a", self.prefix), to.parse().unwrap());
        std::thread::spawn(move || {
            nix::sched::setns(std::fs::File::open(path).unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { Net::new(NetConfig { egress, ..NetConfig::default() }).unwrap().trace(to).await })
        })
        .join()
        .unwrap()
    }

    /// Makes the host listen on a port, in a thread that lives there.
    fn listen(&self, at: &str) -> TcpListener {
        let (path, at) = (format!("/run/netns/{}b", self.prefix), at.to_owned());
        let listener = std::thread::spawn(move || {
            nix::sched::setns(std::fs::File::open(path).unwrap(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            TcpListener::bind(at).unwrap()
        });
        listener.join().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ROW {
            // What was not made is not there.
            drop(Command::new("ip").args(["netns", "del", &format!("{}{name}", self.prefix)]).output());
        }
    }
}

fn addresses(trace: &PathTrace) -> Vec<String> {
    trace.hops.iter().map(|hop| hop.address.map_or_else(|| "-".to_owned(), |address| address.to_string())).collect()
}

#[test]
fn the_way_is_told_router_by_router_as_far_as_it_leads() {
    let world = World::new();
    let _listener = world.listen("0.0.0.0:2525");
    let trace = world.follow("10.99.3.2:2525", Egress::Unrestricted);
    assert_eq!((addresses(&trace), trace.end), (vec!["10.99.1.2".to_owned(), "10.99.2.2".to_owned()], TraceEnd::Connected), "{trace:?}");
    assert!(trace.hops.iter().all(|hop| hop.ms.is_some()) && trace.summary.contains("takes the connection, 3 hops away"), "{}", trace.summary);
    let trace = world.follow("10.99.3.2:25", Egress::Unrestricted);
    assert_eq!((trace.hops.len(), trace.end), (2, TraceEnd::Refused), "{trace:?}");
    // IPv6 finds its neighbours first.
    world.follow("[fd99:3::2]:25", Egress::Unrestricted);
    let trace = world.follow("[fd99:3::2]:25", Egress::Unrestricted);
    assert_eq!((addresses(&trace), trace.end), (vec!["fd99:1::2".to_owned(), "fd99:2::2".to_owned()], TraceEnd::Refused), "{trace:?}");
}

#[test]
fn a_host_that_is_back_up_is_connected_to_twice_at_most() {
    let world = World::new();
    let listener = world.listen("0.0.0.0:2525");
    listener.set_nonblocking(true).unwrap();
    let trace = world.follow("10.99.3.2:2525", Egress::Unrestricted);
    assert_eq!(trace.end, TraceEnd::Connected, "{trace:?}");
    // Whoever was connected is in the queue by now.
    let connections = std::iter::from_fn(|| listener.accept().ok()).count();
    assert!((1..=2).contains(&connections), "{connections} connections");
}

#[test]
fn who_forbids_it_is_named_and_where_it_falls_silent() {
    let world = World::new();
    world.ip("r2", "route add prohibit 10.99.3.8/32");
    let trace = world.follow("10.99.3.8:25", Egress::Unrestricted);
    assert_eq!((addresses(&trace), trace.end), (vec!["10.99.1.2".to_owned(), "10.99.2.2".to_owned()], TraceEnd::Stopped), "{trace:?}");
    assert!(trace.summary.contains("10.99.2.2 says that a firewall forbids it"), "{}", trace.summary);
    world.ip("r2", "route add blackhole 10.99.3.9/32");
    let trace = world.follow("10.99.3.9:25", Egress::Unrestricted);
    assert_eq!((addresses(&trace), trace.end), (vec!["10.99.1.2".to_owned()], TraceEnd::Silent), "{trace:?}");
    assert!(trace.summary.contains("the way ends behind 10.99.1.2, 1 hop away"), "{}", trace.summary);
    // Nobody knows a way there.
    let trace = world.follow("10.98.0.1:25", Egress::Unrestricted);
    assert_eq!((trace.end, trace.summary.contains("10.99.1.2 says that the network can not be reached")), (TraceEnd::Stopped, true), "{trace:?}");
}

#[test]
fn the_guard_holds_for_the_goal_and_hides_the_routers_near_us() {
    let world = World::new();
    let trace = world.follow("10.99.3.2:25", Egress::Guarded { allow: Vec::new() });
    assert_eq!((trace.hops.len(), trace.end), (0, TraceEnd::NotPermitted));
    assert!(trace.summary.contains("a private address"), "{}", trace.summary);
    let allow = vec!["10.99.2.0/23".parse().unwrap()];
    let trace = world.follow("10.99.3.2:25", Egress::Guarded { allow });
    assert_eq!(
        (addresses(&trace), trace.hops[0].hidden, trace.hops[1].hidden),
        (vec!["-".to_owned(), "10.99.2.2".to_owned()], true, false),
        "{trace:?}"
    );
}
