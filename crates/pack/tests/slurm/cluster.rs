//! A real Slurm on this machine: one controller and several nodes, all on loopback, in a directory of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a cluster is made of, as Debian's packages `slurm-wlm` and `munge` bring it.
const PROGRAMS: [&str; 5] = ["munged", "slurmctld", "slurmd", "sbatch", "squeue"];

/// Few jobs are known at a time, so that a queue can be full, and ended ones are soon forgotten. The times are short so
/// that the test is.
const CONFIGURATION: &str = "ClusterName=trial
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT0
SlurmUser=USER
SlurmdUser=USER
AuthInfo=socket=ROOT/munge/socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=ROOT/state
SlurmdSpoolDir=ROOT/spool/%n
SlurmctldPidFile=ROOT/run/slurmctld.pid
SlurmdPidFile=ROOT/run/%n.pid
SlurmctldLogFile=ROOT/log/slurmctld.log
SlurmdLogFile=ROOT/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=1
SlurmdTimeout=5
KillWait=2
MinJobAge=2
MaxJobCount=12
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
";

/// A running cluster, which ends with this value.
pub(crate) struct Cluster {
    root: tempfile::TempDir,
    path: String,
}

impl Cluster {
    /// Starts a cluster with so many nodes, `node1` and so on; the reason if Slurm is not installed.
    pub(crate) fn start(nodes: usize) -> Result<Self, String> {
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let lacks = |name: &&&str| !path.split(':').any(|directory| Path::new(directory).join(name).is_file());
        if let Some(missing) = PROGRAMS.iter().find(lacks) {
            return Err(format!("{missing} is missing; Debian: apt install slurm-wlm munge"));
        }
        let cluster = Self { root: tempfile::tempdir().unwrap(), path };
        for directory in ["state", "log", "run", "munge", "spool"] {
            fs::create_dir(cluster.file(directory)).unwrap();
        }
        for directory in ["", "run", "munge"] {
            fs::set_permissions(cluster.file(directory), fs::Permissions::from_mode(0o755)).unwrap();
        }
        cluster.configure(nodes);
        cluster.start_munge();
        cluster.succeed("slurmctld", &[]);
        cluster.wait("the controller", || cluster.out("scontrol", &["ping"]).contains("UP"));
        for node in 1..=nodes {
            cluster.start_node(&format!("node{node}"));
        }
        cluster.wait("the nodes", || cluster.out("sinfo", &["-hN", "-o", "%t"]).matches("idle").count() == nodes);
        Ok(cluster)
    }

    fn configure(&self, nodes: usize) {
        let root = self.root.path().display().to_string();
        let word = |program: &str, argument: &str| self.out(program, &[argument]).trim().to_owned();
        let (host, user) = (word("hostname", "-s"), word("id", "-un"));
        // All are bound at the same time, so that they differ; they are free again when this returns.
        let listeners: Vec<TcpListener> = (0..=nodes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let mut text = CONFIGURATION
            .replace("ROOT", &root)
            .replace("HOST", &host)
            .replace("PORT0", &ports[0].to_string())
            .replace("=USER", &format!("={user}"));
        for (number, port) in ports.iter().enumerate().skip(1) {
            text += &format!(
                "NodeName=node{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=1000\n"
            );
        }
        text += &format!("PartitionName=main Nodes=node[1-{nodes}] Default=YES MaxTime=60 DefaultTime=10\n");
        fs::write(self.file("slurm.conf"), text).unwrap();
    }

    fn start_munge(&self) {
        let key = self.file("munge/key");
        let random: Vec<u8> = (0..128).map(|_| std::collections::hash_map::RandomState::new()).map(hashed).collect();
        fs::write(&key, random).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let option = |name: &str, file: &str| format!("--{name}={}", self.file(file).display());
        let files = [
            option("key-file", "munge/key"),
            option("socket", "munge/socket"),
            option("pid-file", "run/munged.pid"),
            option("log-file", "log/munged.log"),
            option("seed-file", "munge/seed"),
        ];
        self.succeed("munged", &files.iter().map(String::as_str).collect::<Vec<_>>());
        let socket = self.file("munge/socket");
        self.wait("munge", || self.run("munge", &["-n", "-S", &socket.to_string_lossy()]).status.success());
    }

    /// Starts the daemon of a node.
    pub(crate) fn start_node(&self, node: &str) {
        self.succeed("slurmd", &["-N", node]);
    }

    /// Takes a node away as a power cut does: its daemon, those of its tasks, and all that they run, without a word.
    pub(crate) fn kill_node(&self, node: &str) {
        let log = self.file("log").join(format!("{node}.log"));
        // Both kinds of daemons write to the log of their node.
        let mut lost: Vec<u32> =
            processes().into_iter().filter(|(id, _)| has_open(*id, &log)).map(|(id, _)| id).collect();
        assert!(lost.len() > 1, "{node} runs nothing");
        for at in 0.. {
            let Some(&parent) = lost.get(at) else { break };
            let children = processes().into_iter().filter(|(id, of)| *of == parent && !lost.contains(id));
            lost.extend(children.map(|(id, _)| id).collect::<Vec<_>>());
        }
        let ids: Vec<String> = lost.iter().map(u32::to_string).collect();
        self.succeed("kill", &[&["-KILL"], &ids.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    }

    /// A file of the cluster.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A command that speaks to this cluster.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.file("slurm.conf")).env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, words: &[&str]) -> Output {
        self.command(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// What a command prints.
    pub(crate) fn out(&self, program: &str, words: &[&str]) -> String {
        String::from_utf8_lossy(&self.run(program, words).stdout).into_owned()
    }

    /// Runs a command, which must not fail. Daemons keep the streams that they were given open.
    pub(crate) fn succeed(&self, program: &str, words: &[&str]) {
        let mut command = self.command(program);
        let status = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {words:?}: {status}\n{}", self.logs());
    }

    /// Waits for what must come.
    pub(crate) fn wait(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !is_there() {
            let queue = || self.out("squeue", &["--array", "--states=all"]);
            assert!(Instant::now() < until, "{what} did not come\n{}\n{}", queue(), self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn logs(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.file("log").join(name)).unwrap_or_default();
        ["munged.log", "slurmctld.log"].map(read).join("\n")
    }

    /// Process id of a daemon.
    fn id(&self, name: &str) -> Option<String> {
        let id = fs::read_to_string(self.file("run").join(format!("{name}.pid"))).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // First the tasks: they outlive the daemons.
        let names = self.out("squeue", &["-h", "-o", "%F"]);
        let jobs: Vec<&str> = names.split_whitespace().collect();
        if !jobs.is_empty() {
            let _ = self.run("scancel", &jobs);
            let until = Instant::now() + Duration::from_secs(5);
            while !self.out("squeue", &["-h", "-t", "R,CG"]).is_empty() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let files = fs::read_dir(self.file("run")).unwrap().flatten();
        let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".pid")?.to_owned()));
        let ids: Vec<String> = names.filter_map(|name| self.id(&name)).collect();
        for (signal, wait_ms) in [("-TERM", 2000), ("-KILL", 200)] {
            let alive = |id: &String| Path::new("/proc").join(id).exists();
            let left: Vec<&String> = ids.iter().filter(|id| alive(id)).collect();
            if left.is_empty() {
                return;
            }
            let _ = Command::new("kill").arg(signal).args(&left).stderr(Stdio::null()).status();
            let until = Instant::now() + Duration::from_millis(wait_ms);
            while left.iter().any(|id| alive(id)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// All processes, each with its parent.
fn processes() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parent = |id: &u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // After the name, which may hold anything: the state, then the parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    ids.filter_map(|id| Some((id, parent(&id)?))).collect()
}

/// Whether a process has a file open.
fn has_open(id: u32, file: &Path) -> bool {
    let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| path == file)
}

/// A byte that nobody knows before.
fn hashed(state: std::collections::hash_map::RandomState) -> u8 {
    use std::hash::BuildHasher as _;
    state.hash_one(0).to_le_bytes()[0]
}
