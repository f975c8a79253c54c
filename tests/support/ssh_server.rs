//! A real `sshd` on 127.0.0.1 that lets one key in, which a real `ssh-agent` holds.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server and the agent, which end with this value.
pub(crate) struct SshServer {
    folder: tempfile::TempDir,
    user: String,
    port: u16,
    server: Child,
    agent: Child,
}

impl SshServer {
    /// Starts both, if this machine has the programs.
    pub(crate) fn start() -> Option<Self> {
        let Some(sshd) = sshd() else {
            sysforge_testkit::skip("a package over ssh needs sshd (the package openssh-server)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Older libraries know no other kind of key than RSA in this form.
        for key in ["host", "client"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "rsa", "-b", "3072", "-m", "PEM", "-N", "", "-f"])
                .arg(at(key))
                .status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(at("client.pub"), at("authorized_keys")).unwrap();
        // As root, sshd wants a folder that nobody else can write to.
        let _ = std::fs::create_dir_all("/run/sshd");
        let (server, port) = listening(&sshd, folder.path());
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(at("agent"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let user = Command::new("id").arg("-un").output().unwrap();
        let this = Self {
            user: String::from_utf8_lossy(&user.stdout).trim().to_owned(),
            port,
            server,
            agent,
            folder,
        };
        wait_until("ssh-agent listens", || this.socket().exists());
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(this.folder.path().join("client"))
            .env("SSH_AUTH_SOCK", this.socket())
            .status();
        assert!(added.unwrap().success());
        Some(this)
    }

    /// The address of a git repository on this machine.
    pub(crate) fn url(&self, repository: &Path) -> String {
        let Self { user, port, .. } = self;
        format!("ssh://{user}@127.0.0.1:{port}{}", repository.display())
    }

    /// Where the agent listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Makes the server's key known to the user with this home.
    pub(crate) fn make_known(&self, home: &Path) {
        let key = std::fs::read_to_string(self.folder.path().join("host.pub")).unwrap();
        let key: Vec<&str> = key.split(' ').take(2).collect();
        let key = key.join(" ");
        let text = format!("[127.0.0.1]:{} {key}\n127.0.0.1 {key}\n", self.port);
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::write(home.join(".ssh/known_hosts"), text).unwrap();
    }

    /// What the server wrote so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.agent] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the server on a free port. Another program may take the port before the server does, which then
/// ends, and another port is tried.
fn listening(sshd: &Path, folder: &Path) -> (Child, u16) {
    let at = |name: &str| folder.join(name);
    for _ in 0..50 {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n\
             HostKeyAlgorithms +ssh-rsa\nPubkeyAcceptedKeyTypes +ssh-rsa\nLogLevel VERBOSE\n",
            at("host").display(),
            at("authorized_keys").display()
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        let log = std::fs::File::create(at(LOG)).unwrap();
        let mut server = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut ended = false;
        wait_until("sshd listens or ends", || {
            ended = server.try_wait().unwrap().is_some();
            let log = std::fs::read_to_string(at(LOG)).unwrap_or_default();
            ended || log.contains("Server listening")
        });
        if !ended {
            return (server, port);
        }
    }
    let log = std::fs::read_to_string(at(LOG)).unwrap_or_default();
    panic!("sshd does not start: {log}");
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_true() {
        assert!(begin.elapsed() < Duration::from_secs(300), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the server writes, in its folder.
const LOG: &str = "sshd.log";

/// The program, which refuses to start by a relative path.
fn sshd() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/sbin"];
    let mut files = folders.iter().map(|folder| Path::new(folder).join("sshd"));
    files.find(|file| file.is_file())
}
