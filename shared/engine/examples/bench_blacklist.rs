//! The benchmark of block-list scans: many addresses on some lists, asked of one resolver as fast as it answers. Prints one JSON object.
//!
//! `bench_blacklist RESOLVER ADDRESSES ZONE[,ZONE…] [AT_ONCE_PER_ZONE]`; the lists must answer their test points (RFC 5782 5). Beside it,
//! dnsperf can ask the same names of the same resolver: `--names` in front prints them, one a line with its type, and asks nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss)] // a benchmark that can not run can only stop

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration, time::Instant};

use futures::{StreamExt, stream};
use waypost_engine::{
    blacklist::{Lists, Pacing, Scanner, Subject},
    net::{Net, NetConfig},
};

/// Addresses of one scan, as a /24 is.
const PER_SCAN: usize = 256;
/// Scans at once, as a worker has them.
const SCANS: usize = 8;
/// Where the addresses begin.
const FIRST: u32 = 0xc612_0000;

// One thread, as dnsperf has beside it: what is compared is what a core asks.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = arguments.first().is_some_and(|first| first == "--names");
    if names {
        arguments.remove(0);
    }
    let [resolver, count, zones, rest @ ..] = &arguments[..] else { panic!("[--names] RESOLVER ADDRESSES ZONE[,ZONE…] [AT_ONCE_PER_ZONE]") };
    let count: u32 = count.parse().expect("a number");
    let zones: Vec<String> = zones.split(',').map(str::to_owned).collect();
    let addresses: Vec<Ipv4Addr> = (0..count).map(|n| Ipv4Addr::from(FIRST + n)).collect();
    if names {
        for (zone, [a, b, c, d]) in zones.iter().flat_map(|zone| addresses.iter().map(move |address| (zone, address.octets()))) {
            println!("{d}.{c}.{b}.{a}.{zone} A");
        }
        return;
    }
    let at_once_per_zone = rest.first().map_or(64, |text| text.parse().expect("a number"));
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("one provider");
    let net = Net::new(NetConfig { resolvers: vec![resolver.parse().expect("ip:port")], ..NetConfig::default() }).expect("the network");
    let pacing = Pacing { per_second: u32::MAX, at_once_per_zone, at_once: at_once_per_zone * zones.len() };
    let (scanner, lists) = (Scanner::with_pacing(&net, pacing), Lists::named(&zones, &BTreeMap::new()));
    let limit = Duration::from_secs(600);
    // The health of the lists is looked at once an hour; it is no part of the measurement.
    scanner.scan(&[Subject::Address(Ipv4Addr::new(192, 0, 2, 1).into())], &lists, limit).await;
    let subjects: Vec<Subject> = addresses.iter().map(|address| Subject::Address((*address).into())).collect();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let reports: Vec<_> = stream::iter(subjects.chunks(PER_SCAN).map(<[Subject]>::to_vec))
        .map(|chunk| {
            let (scanner, lists) = (scanner.clone(), lists.clone());
            tokio::spawn(async move { scanner.scan(&chunk, &lists, limit).await.counts() })
        })
        .buffer_unordered(SCANS)
        .collect()
        .await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (mut listed, mut clean, mut unknown) = (0, 0, 0);
    for counts in reports.into_iter().map(|report| report.expect("a scan")) {
        (listed, clean, unknown) = (listed + counts.listed, clean + counts.clean, unknown + counts.unknown);
    }
    // A listing costs a second question, for its text.
    let queries = f64::from(listed * 2 + clean + unknown);
    println!(
        "{}",
        serde_json::json!({
            "addresses": count, "zones": zones.len(), "at_once_per_zone": at_once_per_zone, "listed": listed, "clean": clean, "unknown": unknown,
            "queries": queries, "seconds": took, "queries_per_second": queries / took, "cpu_seconds": cpu, "cpu_us_per_query": cpu * 1e6 / queries
        })
    );
}

/// Seconds of user and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / 100.0
}
