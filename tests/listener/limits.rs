//! Limits on connections, of ours and of the system.

use crate::support::{Server, ask, calm, text};
use certmint::transport::listener::{ListenerOptions, raise_open_file_limit};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_above_a_limit_is_closed_and_the_next_is_served_when_one_has_gone() {
    for (options, in_total) in [
        (ListenerOptions { max_connections: 2, ..calm() }, true),
        (ListenerOptions { max_connections_per_peer: 2, ..calm() }, false),
    ] {
        let server = Server::start(options).await;
        let (first, second) = (server.http2().await, server.http2().await);
        for _ in 0..3 {
            assert!(server.tls(&["h2"]).await.is_err());
        }
        let stats = server.stats.read();
        assert_eq!((stats.open, stats.refused_total + stats.refused_peer), (2, 3));
        assert_eq!(stats.refused_total == 3, in_total);
        drop(first);
        server.until(|stats| stats.open == 1).await;
        assert_eq!(text(server.http2().await.send_request(ask("/hello")).await.unwrap()).await, "HTTP/2.0");
        drop(second);
    }
}

#[test]
fn the_soft_limit_on_files_is_raised_to_the_hard_one() {
    let script = "ulimit -S -n 100; exec \"$0\" --exact limits::child_that_raises_its_limit --ignored --nocapture";
    let output = Command::new("sh").args(["-c", script]).arg(std::env::current_exe().unwrap()).output().unwrap();
    let hard = Command::new("sh").args(["-c", "ulimit -H -n"]).output().unwrap().stdout;
    let (output, hard) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(hard).unwrap());
    assert!(output.contains(&format!("limit={}", hard.trim())), "{output}");
}

#[test]
#[ignore = "the child of the test above"]
fn child_that_raises_its_limit() {
    let limit = raise_open_file_limit();
    let now = std::fs::read_to_string("/proc/self/limits").unwrap();
    let now = now.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let now = now.split_whitespace().next().unwrap();
    assert_eq!(now, limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string()));
    println!("limit={now}");
}

#[test]
fn without_file_descriptors_the_loop_waits_and_recovers() {
    let script = "ulimit -n 40; exec \"$0\" --exact limits::child_that_serves --ignored --nocapture";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |key: &str| {
        let found = lines.find_map(|line| line.split_once(key).map(|(_, value)| value.to_owned()));
        found.unwrap_or_else(|| panic!("the child said no {key}"))
    };
    let address = next("address=");
    let full = Instant::now();
    let held: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    next("full");
    let (before, begun) = (cpu_ticks(child.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    // A tick is 10 ms; a loop that spins burns a hundred of them in a second.
    let (ticks, elapsed) = (cpu_ticks(child.id()) - before, begun.elapsed());
    assert!(ticks <= 15, "{ticks} ticks in {elapsed:?}");
    drop(held);
    child.stdin.take().unwrap().write_all(b"ask\n").unwrap();
    assert_eq!(next("answer="), "HTTP/2.0");
    let errors: u64 = next("errors=").parse().unwrap();
    // One in 200 ms, however long a busy machine takes for all of it.
    let most = 5 * (full.elapsed().as_secs() + 2);
    assert!((2..=most).contains(&errors), "{errors} failures to accept, at most {most}");
    assert!(child.wait().unwrap().success());
}

/// Serves with 40 file descriptors until it reads a line, then asks itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the test above"]
async fn child_that_serves() {
    let server = Server::start(calm()).await;
    println!("address={}", server.address);
    server.until(|stats| stats.accept_errors > 0).await;
    println!("full");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await.unwrap().unwrap();
    server.until(|stats| stats.open == 0 && stats.accepted == 60).await;
    println!("answer={}", text(server.http2().await.send_request(ask("/hello")).await.unwrap()).await);
    println!("errors={}", server.stats.read().accept_errors);
}

/// Processor time of a process, user and system, in clock ticks: fields 14 and 15 of proc(5) stat.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
