// Files, times and, with the argument "threads", threads and channels; prints the same wherever it
// runs.
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

fn work_with_files() -> std::io::Result<()> {
    fs::create_dir_all("made/deep")?;
    let mut file = fs::File::create("made/deep/lines")?;
    for i in 0..1000 {
        writeln!(file, "line {i}")?;
    }
    file.sync_all()?;
    drop(file);
    fs::rename("made/deep/lines", "made/lines")?;
    let lines: Vec<String> = BufReader::new(fs::File::open("made/lines")?).lines().collect::<Result<_, _>>()?;
    println!("lines {} {:?}", lines.len(), lines.last());
    fs::copy("made/lines", "made/copy")?;
    println!("copied {}", fs::metadata("made/copy")?.len());
    let mut names: Vec<_> = fs::read_dir("made")?.map(|e| e.unwrap().file_name()).collect();
    names.sort();
    println!("names {names:?}");
    fs::remove_file("made/copy")?;
    let mut permissions = fs::metadata("made/lines")?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions("made/lines", permissions)?;
    println!("absent {:?}", fs::read("made/nowhere").map_err(|e| e.kind()));
    Ok(())
}

fn work_with_threads() {
    let (sender, receiver) = mpsc::channel();
    let shared = Arc::new(Mutex::new(0u64));
    let workers: Vec<_> = (0..4u64)
        .map(|n| {
            let (sender, shared) = (sender.clone(), Arc::clone(&shared));
            thread::spawn(move || {
                for i in 0..1000u64 {
                    *shared.lock().unwrap() += i * n;
                    sender.send((n, i)).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for (n, i) in receiver {
        *counts.entry(n).or_default() += i;
    }
    for worker in workers {
        worker.join().unwrap();
    }
    println!("threads {counts:?} {}", shared.lock().unwrap());
    let failed = thread::spawn(|| panic!("on purpose")).join().is_err();
    println!("panicked {failed}");
    println!("scoped {}", thread::scope(|s| s.spawn(|| 6 * 7).join().unwrap()));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{arguments:?} {:?}", std::env::var("COLOUR"));
    let begin = Instant::now();
    thread::sleep(Duration::from_millis(20));
    println!("slept {}", begin.elapsed() >= Duration::from_millis(20));
    println!("later {}", SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() > 1_700_000_000);
    if arguments.iter().any(|a| a == "threads") {
        work_with_threads();
    }
    if let Err(problem) = work_with_files() {
        println!("failed: {problem}");
        std::process::exit(1);
    }
    let text: String = "abc".repeat(100_000);
    println!("heap {}", text.chars().filter(|c| *c == 'b').count());
    println!("caught {}", std::panic::catch_unwind(|| panic!("on purpose")).is_err());
    std::process::exit(7);
}
