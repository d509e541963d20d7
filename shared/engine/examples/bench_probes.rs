//! The benchmark of probes: many STARTTLS conversations with one host, a fixed number at once. Prints one JSON object.
//!
//! `bench_probes HOST RESOLVER CA_FILE PROBES CONCURRENCY`; `infra/bench/probes` calls it beside another prober on the same target.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::similar_names, clippy::cast_precision_loss)] // a benchmark that can not run can only stop

use std::time::Instant;

use futures::{StreamExt, stream};
use waypost_engine::{
    net::{Net, NetConfig},
    probe::{ProbeTarget, Prober},
};
use waypost_types::outcome::{ProbeMode, Verdict};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, resolver, ca_file, probes, at_once] = &arguments[..] else { panic!("HOST RESOLVER CA_FILE PROBES CONCURRENCY") };
    let (probes, at_once): (usize, usize) = (probes.parse().expect("a number"), at_once.parse().expect("a number"));
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("one provider");
    let net = Net::new(NetConfig {
        resolvers: vec![resolver.parse().expect("ip:port")],
        ca_file: Some(ca_file.into()),
        ehlo_name: "bench.lab.test".to_owned(),
        ..NetConfig::default()
    })
    .expect("the network");
    let prober = Prober::new(&net);
    let run = async |count: usize| {
        let target = ProbeTarget { host: host.clone(), port: 25, mode: ProbeMode::Starttls, auth: None };
        let probe = |_| {
            let (prober, target) = (prober.clone(), target.clone());
            // A task of its own, as in a worker: polled from the main thread, every reply would cost a change of threads.
            tokio::spawn(async move { prober.probe(&target).await.verdict })
        };
        stream::iter(0..count)
            .map(probe)
            .buffer_unordered(at_once)
            .filter(|verdict| std::future::ready(matches!(verdict, Ok(Verdict::Up | Verdict::Degraded))))
            .count()
            .await
    };
    run(at_once).await;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let up = run(probes).await;
    let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{}",
        serde_json::json!({ "probes": probes, "up": up, "at_once": at_once, "seconds": took, "per_second": probes as f64 / took, "cpu_ms_per_probe": cpu * 1000.0 / probes as f64, "max_rss_mb": max_rss_mb() })
    );
}

/// The most memory that this process has held.
fn max_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// Seconds of user and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("ticks")).sum::<f64>() / 100.0
}
