//! Updates: proven, installed once, kept only if the device is well.

use std::{fs, sync::Mutex};

use crate::support::{Port, Room, offer, soon, steps, until};
use base64::{Engine, engine::general_purpose::STANDARD};
use jobs_agent::{
    download::Sha256Digest,
    policy::DownloadPolicy,
    update::{Target, Update, UpdatePolicy, statement},
};
use jobs_agent_core::{
    Attempt, Checkpoint, JobHandler, JobPort, OperationTag, Outcome, Progress, Refusal, StopReason,
    Stopped,
};
use rcgen::SigningKey;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const IMAGE: &str = "the new version";

struct World {
    room: Room,
    target: Target,
    document: String,
}

/// Serves the image to everybody who asks.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/f", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", IMAGE.len());
            let _ = stream.write_all(format!("{head}{IMAGE}").as_bytes()).await;
        }
    });
    url
}

impl World {
    async fn new() -> Self {
        let room = Room::new();
        let here = room.dir.path().display();
        let install = room.script(
            "install.sh",
            &format!("cat \"$1\" > {here}/system; echo \"$JOBS_AGENT_VERSION\" >> {here}/installs"),
        );
        let well = room.script(
            "well.sh",
            &format!("echo x >> {here}/tests; ! [ -e {here}/sick ]"),
        );
        let back = room.script(
            "back.sh",
            &format!("echo x >> {here}/backs; rm -f {here}/system"),
        );
        let word = |path: std::path::PathBuf| vec![path.to_str().unwrap().to_owned()];
        let target = Target {
            dir: room.path("updates"),
            install: word(install),
            reboot: false,
            self_test: word(well),
            roll_back: word(back),
            keys: Vec::new(),
            timeout_s: 30,
            download_timeout_s: 30,
            allow_older: false,
        };
        let digest = Sha256::digest(IMAGE.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let document = format!(
            r#"{{"operation":"update","target":"system","version":"1.1.0","url":"{}","sha256":"{hex}"}}"#,
            server().await
        );
        Self {
            room,
            target,
            document,
        }
    }

    fn update(&self) -> Update {
        let policy = UpdatePolicy {
            targets: [("system".to_owned(), self.target.clone())].into(),
            download: DownloadPolicy {
                hosts: vec!["127.0.0.1".into()],
                private_addresses: true,
                plain_http: true,
                ..DownloadPolicy::default()
            },
        };
        let versions = self.room.path("versions");
        Update::new(policy, steps(), self.room.path("steps"), versions).unwrap()
    }

    async fn run(&self, resuming: bool) -> Outcome {
        let update = self.update();
        let (_, plan) = update
            .plan(&offer(self.document.as_bytes(), resuming))
            .unwrap();
        let durable = Mutex::new(None);
        let mut port = Port {
            durable: &durable,
            lives: 9,
        };
        soon(update.run(plan, &mut port)).await
    }

    /// Goes on in the next boot.
    async fn resume(&self, from: Outcome) -> Outcome {
        let Outcome::Reboot(checkpoint) = from else {
            panic!("a reboot, not {from:?}");
        };
        let update = self.update();
        let (_, plan) = update.plan(&offer(self.document.as_bytes(), true)).unwrap();
        let durable = Mutex::new(None);
        let mut port = Port {
            durable: &durable,
            lives: 9,
        };
        let tag = OperationTag::of("update");
        soon(update.resume(tag, &checkpoint, Some(plan), &mut port)).await
    }
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(details) => details.iter().next().unwrap().1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_version_that_is_well_is_kept_and_its_file_removed() {
    let world = World::new().await;
    let outcome = world.run(false).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(world.room.read("system"), IMAGE);
    assert_eq!(
        (
            world.room.read("installs").as_str(),
            world.room.read("tests").as_str()
        ),
        ("1.1.0\n", "x\n")
    );
    assert_eq!(fs::read_dir(world.room.path("updates")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(world.room.path("steps")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_with_another_checksum_is_never_installed() {
    let mut world = World::new().await;
    let hex = "00".repeat(32);
    let (head, _) = world.document.split_once("\"sha256\"").unwrap();
    world.document = format!("{head}\"sha256\":\"{hex}\"}}");
    let outcome = world.run(false).await;
    assert!(reason(&outcome).contains(&hex), "{outcome:?}");
    assert!(!world.room.path("installs").exists());
    assert_eq!(fs::read_dir(world.room.path("updates")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_version_that_is_not_well_is_rolled_back() {
    let world = World::new().await;
    fs::write(world.room.path("sick"), "").unwrap();
    let outcome = world.run(false).await;
    assert_eq!(reason(&outcome), "self-test: exit status 1; rolled back");
    assert!(!world.room.path("system").exists());
    assert_eq!(world.room.read("backs"), "x\n");
}

#[tokio::test]
async fn a_version_that_needs_a_reboot_is_tested_in_the_boot_after_it() {
    let mut world = World::new().await;
    world.target.reboot = true;
    let first = world.run(false).await;
    assert!(!world.room.path("tests").exists(), "not before the reboot");
    let outcome = world.resume(first).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(world.room.read("installs"), "1.1.0\n");
}

#[tokio::test]
async fn a_roll_back_that_needs_a_reboot_is_reported_from_the_boot_after_it() {
    let mut world = World::new().await;
    world.target.reboot = true;
    fs::write(world.room.path("sick"), "").unwrap();
    let first = world.run(false).await;
    let second = world.resume(first).await;
    let outcome = world.resume(second).await;
    assert_eq!(reason(&outcome), "self-test: exit status 1; rolled back");
    assert_eq!(
        (
            world.room.read("backs").as_str(),
            world.room.read("tests").as_str()
        ),
        ("x\n", "x\n")
    );
}

#[tokio::test]
async fn a_cut_after_the_installation_does_not_install_again() {
    let world = World::new().await;
    {
        let update = world.update();
        let (_, plan) = update
            .plan(&offer(world.document.as_bytes(), false))
            .unwrap();
        let durable = Mutex::new(None);
        let mut port = Port {
            durable: &durable,
            lives: 0,
        };
        tokio::select! {
            outcome = update.run(plan, &mut port) => panic!("{outcome:?}"),
            () = until("the checkpoint", || durable.lock().unwrap().is_some()) => {}
        }
    }
    // As if the checkpoint had not become durable: the job begins again.
    let outcome = world.run(true).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(world.room.read("installs"), "1.1.0\n");
}

#[tokio::test]
async fn an_unsigned_update_of_a_target_with_keys_is_refused_before_anything_is_downloaded() {
    let mut world = World::new().await;
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(world.room.path("key.pub"), pair.public_key_pem()).unwrap();
    world.target.keys = vec![world.room.path("key.pub")];
    let refusal = world
        .update()
        .plan(&offer(world.document.as_bytes(), false))
        .unwrap_err();
    assert!(
        matches!(&refusal, Refusal::Reject(why) if why.as_str().contains("signature")),
        "{refusal:?}"
    );
}

/// A port of a job that is canceled while its new version is being installed or tested: every
/// checkpoint from number `from` on says so.
struct Canceled {
    from: u32,
}

impl JobPort for Canceled {
    async fn checkpoint(&mut self, _: Checkpoint) -> Result<(), Stopped> {
        match self.from.checked_sub(1) {
            Some(left) => {
                self.from = left;
                Ok(())
            }
            None => Err(Stopped(StopReason::Canceled)),
        }
    }

    fn report(&mut self, _: Progress) {}

    fn stop_requested(&self) -> Option<StopReason> {
        (self.from == 0).then_some(StopReason::Canceled)
    }

    async fn stopped(&mut self) -> StopReason {
        // Not while the file is downloaded.
        std::future::pending().await
    }

    fn deadline_ms(&self) -> Option<u64> {
        None
    }

    fn attempt(&self) -> Attempt {
        Attempt { number: 1, last: 3 }
    }

    fn job_id(&self) -> &str {
        "job-1"
    }
}

#[tokio::test]
async fn a_version_whose_job_is_canceled_before_it_has_proven_itself_is_not_left_behind() {
    for reboot in [false, true] {
        let mut world = World::new().await;
        world.target.reboot = reboot;
        let update = world.update();
        let (_, plan) = update
            .plan(&offer(world.document.as_bytes(), false))
            .unwrap();
        soon(update.run(plan, &mut Canceled { from: 0 })).await;
        assert_eq!(world.room.read("installs"), "1.1.0\n");
        assert_eq!(world.room.read("backs"), "x\n", "reboot: {reboot}");
        assert!(!world.room.path("system").exists());
    }
}

#[tokio::test]
async fn a_version_that_is_not_well_is_rolled_back_even_if_its_job_was_canceled_meanwhile() {
    let world = World::new().await;
    fs::write(world.room.path("sick"), "").unwrap();
    let update = world.update();
    let (_, plan) = update
        .plan(&offer(world.document.as_bytes(), false))
        .unwrap();
    soon(update.run(plan, &mut Canceled { from: 1 })).await;
    assert_eq!(world.room.read("backs"), "x\n");
}

#[tokio::test]
async fn a_download_that_failed_leaves_no_part_of_itself() {
    let mut world = World::new().await;
    fs::create_dir(world.room.path("updates")).unwrap();
    // What an earlier life brought, and then there is no room for the rest.
    fs::write(world.room.path("updates/.job-1.update.part"), "half").unwrap();
    fs::write(world.room.path("updates/.job-1.update.tag"), "\"v1\"").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/f", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        let head = "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nContent-Length: 9000000000000000000\r\n\r\n";
        let _ = stream.write_all(head.as_bytes()).await;
    });
    let from = world.document.find("http://").unwrap();
    let to = from + world.document[from..].find('"').unwrap();
    world.document.replace_range(from..to, &url);
    let outcome = world.run(false).await;
    assert!(reason(&outcome).contains("room"), "{outcome:?}");
    assert_eq!(fs::read_dir(world.room.path("updates")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_older_version_with_a_good_signature_is_refused_unless_it_is_allowed() {
    let mut world = World::new().await;
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(world.room.path("key.pub"), pair.public_key_pem()).unwrap();
    world.target.keys = vec![world.room.path("key.pub")];
    let unsigned = world.document.clone();
    let signed = |world: &mut World, version: &str| {
        let digest = Sha256::digest(IMAGE.as_bytes()).into();
        let text = statement("system", version, Sha256Digest(digest));
        let signature = STANDARD.encode(pair.sign(text.as_bytes()).unwrap());
        let document = unsigned.replace("1.1.0", version);
        let document = document.strip_suffix('}').unwrap();
        world.document = format!("{document},\"signature\":\"{signature}\"}}");
    };
    signed(&mut world, "1.10.0");
    let outcome = world.run(false).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    signed(&mut world, "1.9.0");
    // A life later: what was installed is remembered on the disk.
    let offered = |world: &World| {
        let update = world.update();
        let planned = update.plan(&offer(world.document.as_bytes(), false));
        planned.err().map(|refusal| format!("{refusal:?}"))
    };
    let refusal = offered(&world).unwrap();
    assert!(refusal.contains("older than 1.10.0"), "{refusal}");
    world.target.allow_older = true;
    assert_eq!(offered(&world), None);
    world.target.allow_older = false;
    for not_older in ["1.10.0", "1.11.0"] {
        signed(&mut world, not_older);
        assert_eq!(offered(&world), None, "{not_older}");
    }
}

#[tokio::test]
async fn an_older_version_that_waited_while_a_newer_one_was_installed_is_refused() {
    let mut world = World::new().await;
    let pair = rcgen::KeyPair::generate().unwrap();
    fs::write(world.room.path("key.pub"), pair.public_key_pem()).unwrap();
    world.target.keys = vec![world.room.path("key.pub")];
    let update = world.update();
    let planned = |version: &str| {
        let digest = Sha256::digest(IMAGE.as_bytes()).into();
        let text = statement("system", version, Sha256Digest(digest));
        let signature = STANDARD.encode(pair.sign(text.as_bytes()).unwrap());
        let document = world.document.replace("1.1.0", version);
        let document = document.strip_suffix('}').unwrap();
        let document = format!("{document},\"signature\":\"{signature}\"}}");
        update.plan(&offer(document.as_bytes(), false)).unwrap().1
    };
    // Nothing was installed when either was looked at.
    let (older, newer) = (planned("1.9.0"), planned("1.10.0"));
    let durable = Mutex::new(None);
    let mut port = Port {
        durable: &durable,
        lives: 9,
    };
    let outcome = soon(update.run(newer, &mut port)).await;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    let outcome = soon(update.run(older, &mut port)).await;
    assert!(reason(&outcome).contains("older than 1.10.0"));
    assert_eq!(world.room.read("installs"), "1.10.0\n");
}

#[tokio::test]
async fn a_download_that_never_ends_is_given_up() {
    let mut world = World::new().await;
    world.target.download_timeout_s = 1;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/f", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4_096]).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        // Never silent for long enough to count as broken.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let from = world.document.find("http://").unwrap();
    let to = from + world.document[from..].find('"').unwrap();
    world.document.replace_range(from..to, &url);
    let outcome = world.run(false).await;
    assert!(reason(&outcome).contains("longer than 1 s"), "{outcome:?}");
    assert_eq!(fs::read_dir(world.room.path("updates")).unwrap().count(), 0);
}
