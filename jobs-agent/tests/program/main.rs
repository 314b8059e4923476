//! The program as an operator meets it.

mod rotation;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
};

use jobs_emulator::{Emulator, Options, model::ExecutionStatus};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Room, script, soon, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::{Child, Command},
};

const THING: &str = "pump-17";

struct Gateway {
    emulator: Emulator,
    room: Room,
}

impl Gateway {
    /// A gateway with mutual TLS, and `more` in its configuration.
    async fn new(more: &str) -> Self {
        let options = Options {
            mqtts: Some(([127, 0, 0, 1], 0).into()),
            data_https: Some(([127, 0, 0, 1], 0).into()),
            ..Options::default()
        };
        let emulator = Emulator::start(options).await.unwrap();
        emulator
            .with_service(|service, now| service.create_thing(now, THING))
            .unwrap();
        let room = Room::new();
        fs::create_dir(room.path("handlers")).unwrap();
        let pki = emulator.pki().unwrap();
        let key = room.path("key.pem");
        fs::copy(&pki.key, &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "thing = \"{THING}\"\nendpoint = \"127.0.0.1\"\nport = {}\nca = {:?}\ncert = {:?}\n\
             key = {key:?}\nstate_dir = {:?}\nprogress_interval_ms = 0\n{more}\n\
             [steps]\nhandler_dirs = [{:?}]\nhandlers = [\"*\"]\nbuiltin = [\"reboot\"]\n\
             users = [\"root\"]\nworking_dir = {:?}\n",
            emulator.mqtts_addr().unwrap().port(),
            pki.ca,
            pki.cert,
            room.path("state"),
            room.path("handlers"),
            room.dir.path(),
        );
        fs::write(room.path("config.toml"), config).unwrap();
        Self { emulator, room }
    }

    /// The same gateway over HTTPS, with `more` in its configuration.
    async fn over_https(more: &str) -> Self {
        let gateway = Self::new(&format!("transport = \"https\"\n{more}")).await;
        let port = |at: Option<std::net::SocketAddr>| format!("port = {}\n", at.unwrap().port());
        let mqtts = port(gateway.emulator.mqtts_addr());
        let https = port(gateway.emulator.data_https_addr());
        let config = gateway.room.read("config.toml").replace(&mqtts, &https);
        fs::write(gateway.room.path("config.toml"), config).unwrap();
        gateway
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobs-agent"));
        command
            .arg("--config")
            .arg(self.room.path("config.toml"))
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        soon(self.command(arguments).output()).await.unwrap()
    }

    /// What a command says on its standard output; it must succeed.
    async fn says(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn agent(&self) -> Child {
        self.command(&["run"]).spawn().unwrap()
    }

    fn handler(&self, name: &str, text: &str) {
        script(&self.room.path("handlers").join(name), text);
    }

    fn create(&self, job: &str, document: &Value) {
        self.emulator
            .with_service(|service, now| service.create_job(now, job, &[THING], document))
            .unwrap();
    }

    async fn until(&self, job: &str, status: ExecutionStatus) {
        until(&format!("{job} to be {status:?}"), || {
            let execution = self.emulator.service().execution(THING, job, None);
            execution.is_some_and(|execution| execution.status == status)
        })
        .await;
    }
}

async fn terminate(mut agent: Child) {
    let pid = agent.id().unwrap().to_string();
    let mut kill = std::process::Command::new("kill");
    assert!(kill.args(["-TERM", &pid]).status().unwrap().success());
    assert!(soon(agent.wait()).await.unwrap().success());
}

fn job(handler: &str) -> Value {
    json!({"version": "1.0", "steps": [{"action": {"name": handler, "type": "runHandler",
        "input": {"handler": handler}}}]})
}

#[tokio::test]
async fn it_does_jobs_and_can_say_afterwards_what_became_of_each() {
    let gateway = Gateway::new("").await;
    gateway.handler("good.sh", "exit 0");
    gateway.handler("bad.sh", "exit 3");
    let agent = gateway.agent();
    gateway.create("good", &job("good.sh"));
    gateway.until("good", ExecutionStatus::Succeeded).await;
    gateway.create("bad", &job("bad.sh"));
    gateway.until("bad", ExecutionStatus::Failed).await;
    gateway.create("unknown", &json!({"operation": "levitate"}));
    gateway.until("unknown", ExecutionStatus::Rejected).await;
    let status = gateway.says(&["status"]).await;
    assert!(
        status.contains("agent     running") && status.contains("connected since"),
        "{status}"
    );
    terminate(agent).await;
    let status = gateway.says(&["status"]).await;
    assert!(
        status.contains("not running") && status.contains("none on its way"),
        "{status}"
    );
    for (job, words) in [
        (
            "good",
            &[
                "good: accepted",
                "work begins",
                "ended: succeeded",
                "has SUCCEEDED",
            ][..],
        ),
        (
            "bad",
            &[
                "ended: failed: step 1 \"bad.sh\": exit status 3",
                "has FAILED",
            ],
        ),
        (
            "unknown",
            &[
                "not taken: no handler of this device knows it",
                "has REJECTED",
            ],
        ),
        ("never", &["nothing is known of never"]),
    ] {
        let said = gateway.says(&["explain", job]).await;
        for words in words {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    let lines = gateway.says(&["explain", "--json"]).await;
    assert!(
        lines
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
}

#[tokio::test]
async fn a_step_goes_on_while_the_agent_is_restarted() {
    let gateway = Gateway::new("").await;
    gateway.handler(
        "slow.sh",
        "echo x >> effects; while ! [ -e go ]; do sleep 0.05; done",
    );
    let agent = gateway.agent();
    gateway.create("slow", &job("slow.sh"));
    until("the step", || gateway.room.path("effects").exists()).await;
    terminate(agent).await;
    let status = gateway.says(&["status"]).await;
    assert!(
        status.contains("slow: begun, a step is running"),
        "{status}"
    );
    fs::write(gateway.room.path("go"), "").unwrap();
    let agent = gateway.agent();
    gateway.until("slow", ExecutionStatus::Succeeded).await;
    assert_eq!(gateway.room.read("effects"), "x\n");
    let said = gateway.says(&["explain", "slow"]).await;
    assert!(said.contains("slow: goes on after a restart"), "{said}");
    terminate(agent).await;
}

#[tokio::test]
async fn the_service_manager_is_told_that_it_is_ready_alive_connected_and_ending() {
    let gateway = Gateway::new("").await;
    let path = gateway.room.path("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut agent = gateway.command(&["run"]);
    agent.env("NOTIFY_SOCKET", &path);
    agent
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID");
    let agent = agent.spawn().unwrap();
    let mut buffer = [0; 512];
    let mut heard: Vec<String> = Vec::new();
    let awaits = |heard: &[String], start: &str| !heard.iter().any(|said| said.starts_with(start));
    while awaits(&heard, "STATUS=connected")
        || heard.iter().filter(|s| *s == "WATCHDOG=1").count() < 3
    {
        let len = soon(socket.recv(&mut buffer)).await.unwrap();
        let said = String::from_utf8_lossy(&buffer[..len]);
        heard.extend(said.lines().map(str::to_owned));
    }
    assert_eq!(heard.first().map(String::as_str), Some("READY=1"));
    terminate(agent).await;
    while awaits(&heard, "STOPPING=1") {
        let len = soon(socket.recv(&mut buffer)).await.unwrap();
        let said = String::from_utf8_lossy(&buffer[..len]);
        heard.extend(said.lines().map(str::to_owned));
    }
}

#[tokio::test]
async fn prometheus_reads_what_came_of_the_jobs() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let gateway = Gateway::new(&format!("[metrics]\nlisten = \"{address}\"")).await;
    gateway.handler("good.sh", "exit 0");
    gateway.handler("bad.sh", "exit 3");
    let agent = gateway.agent();
    gateway.create("good", &job("good.sh"));
    gateway.until("good", ExecutionStatus::Succeeded).await;
    gateway.create("bad", &job("bad.sh"));
    gateway.until("bad", ExecutionStatus::Failed).await;
    // The service knows before the agent has its answer.
    let mut page = String::new();
    while !page.contains("jobs_agent_jobs_total{outcome=\"failed\"} 1\n") {
        page.clear();
        let mut stream = soon(tokio::net::TcpStream::connect(address)).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        soon(stream.read_to_string(&mut page)).await.unwrap();
    }
    for line in [
        "jobs_agent_jobs_total{outcome=\"succeeded\"} 1\n",
        "jobs_agent_jobs_total{outcome=\"rejected\"} 0\n",
        "jobs_agent_connects_total 1\n",
        "jobs_agent_connected 1\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    terminate(agent).await;
}

#[tokio::test]
async fn no_secret_of_a_url_reaches_a_log_or_the_journal() {
    let gateway = Gateway::new("log = \"trace\"").await;
    gateway.handler("url.sh", "exit 1");
    let mut agent = gateway.command(&["run"]);
    let log = fs::File::create(gateway.room.path("log")).unwrap();
    let agent = agent.stderr(log).spawn().unwrap();
    let url = "https://b.s3.amazonaws.com/f?X-Amz-Signature=5ec2e7";
    let document = json!({"version": "1.0", "steps": [{"action": {"name": "s", "type": "runHandler",
        "input": {"handler": "url.sh", "args": [url]}}}]});
    gateway.create("url", &document);
    gateway.until("url", ExecutionStatus::Failed).await;
    gateway.create(
        "bad",
        &json!({"version": "1.0", "steps": [{"action": {"name": url,
        "type": "runMagic", "input": {}}}]}),
    );
    gateway.until("bad", ExecutionStatus::Rejected).await;
    terminate(agent).await;
    let log = gateway.room.read("log");
    assert!(log.contains("job ended"), "it was logged at all");
    let journal = fs::read_to_string(gateway.room.path("state").join(THING).join("journal.jsonl"));
    for text in [log, journal.unwrap()] {
        assert!(!text.contains("5ec2e7"), "{text}");
    }
}

#[tokio::test]
async fn the_doctor_finds_a_sound_device_sound_and_prints_its_policy() {
    let gateway = Gateway::new("").await;
    let said = gateway.says(&["doctor"]).await;
    for words in [
        "ok   connection: iot:Connect as pump-17",
        "ok   iot:Subscribe topicfilter/$aws/things/pump-17/jobs/notify-next: granted",
        "ok   iot:Publish topic/$aws/things/pump-17/jobs/$next/get: answered (accepted)",
        "jobs/JOB/update: answered (ResourceNotFound)",
        "ok   clock: agrees with the service's",
        "arn:aws:iot:REGION:ACCOUNT:client/pump-17",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("FAIL"), "{said}");
}

#[tokio::test]
async fn over_https_it_does_jobs_and_the_doctor_looks_beside_it() {
    let gateway = Gateway::over_https("poll_interval_s = 1").await;
    gateway.handler("good.sh", "exit 0");
    let agent = gateway.agent();
    gateway.create("good", &job("good.sh"));
    gateway.until("good", ExecutionStatus::Succeeded).await;
    let said = gateway.says(&["doctor"]).await;
    let port = gateway.emulator.data_https_addr().unwrap().port();
    for words in [
        &format!("ok   connection: HTTPS to 127.0.0.1:{port}"),
        "ok   iotjobsdata:GetPendingJobExecutions thing/pump-17: answered (accepted)",
        "ok   iotjobsdata:DescribeJobExecution thing/pump-17: answered (ResourceNotFound)",
        "ok   iotjobsdata:UpdateJobExecution thing/pump-17: answered (ResourceNotFound)",
        "\"Resource\": \"arn:aws:iot:REGION:ACCOUNT:thing/pump-17\"",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        !said.contains("FAIL") && !said.contains("iot:Connect"),
        "{said}"
    );
    terminate(agent).await;
    assert!(gateway.emulator.connected().is_empty());
}

#[tokio::test]
async fn over_https_too_a_killed_agent_finds_its_step_again() {
    let gateway = Gateway::over_https("poll_interval_s = 1").await;
    gateway.handler(
        "slow.sh",
        "echo x >> effects; while ! [ -e go ]; do sleep 0.05; done",
    );
    let mut agent = gateway.agent();
    gateway.create("slow", &job("slow.sh"));
    until("the step", || gateway.room.path("effects").exists()).await;
    // SIGKILL, again and again, wherever it is.
    for lives_ms in [0, 20, 200] {
        soon(agent.kill()).await.unwrap();
        agent = gateway.agent();
        tokio::time::sleep(std::time::Duration::from_millis(lives_ms)).await;
    }
    fs::write(gateway.room.path("go"), "").unwrap();
    gateway.until("slow", ExecutionStatus::Succeeded).await;
    assert_eq!(gateway.room.read("effects"), "x\n");
    terminate(agent).await;
}

#[tokio::test]
async fn the_doctor_says_what_is_denied_over_https() {
    let gateway = Gateway::over_https("").await;
    let (certificate, key) = gateway
        .emulator
        .issue_certificate("other")
        .unwrap()
        .unwrap();
    let pki = gateway.emulator.pki().unwrap();
    fs::write(gateway.room.path("cert.pem"), certificate).unwrap();
    fs::write(gateway.room.path("key.pem"), key).unwrap();
    let config = gateway.room.read("config.toml");
    let own = format!("{:?}", gateway.room.path("cert.pem"));
    fs::write(
        gateway.room.path("config.toml"),
        config.replace(&format!("{:?}", pki.cert), &own),
    )
    .unwrap();
    let output = gateway.output(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    let words = "FAIL connection: the service denied iotjobsdata:GetPendingJobExecutions";
    assert!(!output.status.success() && said.contains(words), "{said}");
}

#[tokio::test]
async fn the_doctor_does_not_push_a_running_agent_out() {
    let gateway = Gateway::new("").await;
    gateway.handler("good.sh", "exit 0");
    let agent = gateway.agent();
    gateway.create("good", &job("good.sh"));
    gateway.until("good", ExecutionStatus::Succeeded).await;
    let said = gateway.says(&["doctor"]).await;
    assert!(said.contains("give --client-id"), "{said}");
    terminate(agent).await;
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong() {
    let gateway = Gateway::new("").await;
    let path = gateway.room.path("config.toml");
    let good = fs::read_to_string(&path).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(gateway.room.path("other.pem"), other.cert.pem()).unwrap();
    let ca = format!("ca = {:?}", gateway.emulator.pki().unwrap().ca);
    let elsewhere = |file: &str| good.replace(&ca, &format!("ca = {:?}", gateway.room.path(file)));
    for (config, words) in [
        (elsewhere("missing.pem"), "FAIL ca:"),
        (elsewhere("config.toml"), "holds no certificate"),
        (elsewhere("other.pem"), "TLS with the service failed"),
        (good.replace("thing =", "thong ="), "FAIL configuration:"),
        (
            good.replace("port = ", "port = 1 # "),
            "FAIL connection: cannot reach",
        ),
    ] {
        fs::write(&path, config).unwrap();
        let output = gateway.output(&["doctor"]).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            !output.status.success() && said.contains(words),
            "{words}: {said}"
        );
    }
}

#[tokio::test]
async fn a_document_is_judged_as_the_agent_would() {
    let gateway = Gateway::new("").await;
    let file = gateway.room.path("document.json");
    let judged = async |document: &Value| {
        fs::write(&file, document.to_string()).unwrap();
        gateway
            .output(&["validate-document", file.to_str().unwrap()])
            .await
    };
    let good = judged(&job("reboot.sh")).await;
    assert!(good.status.success());
    assert_eq!(
        String::from_utf8(good.stdout).unwrap(),
        "1. \"reboot.sh\": restart the machine\n"
    );
    for (document, words) in [
        (
            json!({"version": "1.0", "steps": [{"action": {"name": "s", "type": "runCommand",
            "input": {"command": "sh"}}}]}),
            "would be rejected",
        ),
        (json!({"version": "1.0", "steps": []}), "`steps`"),
        (json!({"afr_ota": {}}), "no Device Client document"),
        (json!({"version": "x".repeat(40_000)}), "32768"),
    ] {
        let bad = judged(&document).await;
        let said = String::from_utf8(bad.stderr).unwrap();
        assert!(
            !bad.status.success() && said.contains(words),
            "{words}: {said}"
        );
    }
}

#[cfg(feature = "generate")]
#[tokio::test]
async fn manual_pages_and_completions_are_made_from_the_command_line() {
    let gateway = Gateway::new("").await;
    let dir = gateway.room.path("generated");
    gateway.says(&["generate", dir.to_str().unwrap()]).await;
    for name in [
        "jobs-agent.1",
        "jobs-agent-doctor.1",
        "jobs-agent.bash",
        "_jobs-agent",
        "jobs-agent.fish",
    ] {
        assert!(dir.join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_second_agent_on_the_same_folder_touches_nothing_in_it() {
    let gateway = Gateway::new("").await;
    gateway.handler("good.sh", "exit 0");
    let agent = gateway.agent();
    gateway.create("first", &job("good.sh"));
    gateway.until("first", ExecutionStatus::Succeeded).await;
    // What the first one could still ask for, and what looks old enough to be tidied up.
    let left = gateway.room.path("state").join(THING).join("steps/old.0");
    fs::create_dir(&left).unwrap();
    let folder = fs::File::open(&left).unwrap();
    folder
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let second = gateway.output(&["run"]).await;
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(
        !second.status.success() && said.contains("another agent uses"),
        "{said}"
    );
    assert!(left.exists(), "tidied up by the second agent");
    let journal = gateway.says(&["explain"]).await;
    assert_eq!(journal.matches(" started").count(), 1, "{journal}");
    terminate(agent).await;
}

#[tokio::test]
async fn where_keys_are_configured_only_what_was_signed_is_done() {
    let gateway = Gateway::new("[signed_documents]\nkeys = [\"KEY\"]").await;
    let public = gateway.room.path("jobs.pub");
    let config = gateway.room.path("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("KEY", public.to_str().unwrap())).unwrap();
    let (key, document) = (gateway.room.path("jobs.key"), gateway.room.path("d.json"));
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(&key, pair.serialize_pem()).unwrap();
    fs::write(&public, pair.public_key_pem()).unwrap();
    gateway.handler("good.sh", "echo x >> done");
    fs::write(&document, job("good.sh").to_string()).unwrap();
    let sign = async |more: &[&str]| -> Value {
        let (key, document) = (key.to_str().unwrap(), document.to_str().unwrap());
        let mut arguments = vec!["sign-document", "--key", key];
        arguments.extend(more);
        arguments.push(document);
        serde_json::from_str(&gateway.says(&arguments).await).unwrap()
    };
    let good = sign(&["--thing", THING, "--job-id", "good", "--valid-for", "1h"]).await;
    let other = sign(&["--thing", "pump-18"]).await;
    fs::write(&document, good.to_string()).unwrap();
    let said = gateway
        .says(&["validate-document", document.to_str().unwrap()])
        .await;
    assert!(
        said.starts_with("signed by a key of this device\n1. \"good.sh\""),
        "{said}"
    );
    let agent = gateway.agent();
    gateway.create("good", &good);
    gateway.until("good", ExecutionStatus::Succeeded).await;
    // The same document again, as another job.
    gateway.create("again", &good);
    gateway.create("other", &other);
    gateway.create("plain", &job("good.sh"));
    for id in ["again", "other", "plain"] {
        gateway.until(id, ExecutionStatus::Rejected).await;
    }
    assert_eq!(gateway.room.read("done"), "x\n");
    terminate(agent).await;
}

/// Serves two files to everybody who asks: `/good`, and anything else.
async fn files(good: &'static str, other: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let len = stream.read(&mut request).await.unwrap_or(0);
            let asked = request[..len].starts_with(b"GET /good");
            let file = if asked { good } else { other };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
            let _ = stream.write_all(format!("{head}{file}").as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn an_update_is_signed_without_its_url_and_another_url_installs_nothing() {
    let url = files("the new version", "another file").await;
    let gateway = Gateway::new(
        "[signed_documents]\nkeys = [\"ROOM/jobs.pub\"]\n\
         [update.targets.system]\ndir = \"ROOM/updates\"\ninstall = [\"/bin/cp\", \"-t\", \"ROOM/installed\"]\n\
         [update.download]\nhosts = [\"127.0.0.1\"]\nprivate_addresses = true\nplain_http = true\n",
    )
    .await;
    let room = gateway.room.dir.path().to_str().unwrap().to_owned();
    let config = gateway.room.path("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("ROOM", &room)).unwrap();
    fs::create_dir(gateway.room.path("installed")).unwrap();
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(gateway.room.path("jobs.key"), pair.serialize_pem()).unwrap();
    fs::write(gateway.room.path("jobs.pub"), pair.public_key_pem()).unwrap();
    let digest = Sha256::digest(b"the new version");
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let document = json!({
        "operation": "update", "target": "system", "version": "1.1.0", "sha256": digest
    });
    let path = gateway.room.path("d.json");
    fs::write(&path, document.to_string()).unwrap();
    let key = format!("{room}/jobs.key");
    let sign = ["sign-document", "--key", &key, "--url", "PLACEHOLDER"];
    let signed = gateway
        .says(&[&sign[..], &[path.to_str().unwrap()]].concat())
        .await;
    // What the service does when it hands the document out.
    let filled = |path: &str| -> Value {
        let filled = signed.replace("PLACEHOLDER", &format!("{url}/{path}"));
        serde_json::from_str(&filled).unwrap()
    };
    let agent = gateway.agent();
    gateway.create("attack", &filled("evil"));
    gateway.until("attack", ExecutionStatus::Failed).await;
    let installed = || {
        fs::read_dir(gateway.room.path("installed"))
            .unwrap()
            .count()
    };
    assert_eq!(installed(), 0);
    let mut bare = filled("good");
    bare["url"].take();
    gateway.create("bare", &bare);
    gateway.until("bare", ExecutionStatus::Rejected).await;
    gateway.create("good", &filled("good"));
    gateway.until("good", ExecutionStatus::Succeeded).await;
    assert_eq!(installed(), 1);
    terminate(agent).await;
}

#[tokio::test]
async fn an_agent_that_is_started_while_another_one_ends_waits_for_its_folder() {
    let gateway = Gateway::new("").await;
    let lock = gateway.room.path("state").join(THING).join("lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    // The other one: it has the folder for a moment after the new one was started.
    let other = fs::File::create(&lock).unwrap();
    other.lock().unwrap();
    let mut agent = gateway.agent();
    let until_asked = tokio::time::sleep(std::time::Duration::from_millis(500));
    tokio::select! {
        ended = agent.wait() => panic!("it did not wait: {ended:?}"),
        () = until_asked => {}
    }
    drop(other);
    gateway.handler("good.sh", "exit 0");
    gateway.create("first", &job("good.sh"));
    gateway.until("first", ExecutionStatus::Succeeded).await;
    terminate(agent).await;
}

#[tokio::test]
async fn of_an_agent_that_was_killed_nobody_is_told_that_it_is_connected() {
    let gateway = Gateway::new("").await;
    gateway.handler("good.sh", "exit 0");
    let mut agent = gateway.agent();
    gateway.create("first", &job("good.sh"));
    gateway.until("first", ExecutionStatus::Succeeded).await;
    assert!(gateway.says(&["status"]).await.contains("connected since"));
    agent.kill().await.unwrap();
    let said = gateway.says(&["status"]).await;
    assert!(said.contains("agent     not running"), "{said}");
    assert!(said.contains("service   not connected"), "{said}");
}
