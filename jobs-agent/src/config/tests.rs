use super::*;

const LEAST: &str = "thing = \"pump-17\"\nendpoint = \"127.0.0.1\"\n";

fn parse(more: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigFault> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Config::parse(
        &format!("{LEAST}{more}"),
        Path::new("config.toml"),
        variable,
    )
}

#[test]
fn the_least_configuration_allows_nothing() {
    let config = parse("", &[]).unwrap();
    assert!(!config.steps.allows_anything());
    assert!(config.config_push.files.is_empty());
    assert_eq!(config.link().port, 1883);
    assert_eq!(config.link().client_id, "pump-17");
    assert_eq!(
        config.records(),
        Path::new("/var/lib/jobs-agent/pump-17/records")
    );
}

#[test]
fn variables_go_before_the_file() {
    let variables = [
        ("JOBS_AGENT_THING", "pump-18"),
        ("JOBS_AGENT_PORT", "18830"),
    ];
    let config = parse("port = 1", &variables).unwrap();
    assert_eq!(
        (config.thing.as_str(), config.link().port),
        ("pump-18", 18_830)
    );
    let config = Config::parse("", Path::new("config.toml"), |name| {
        let values = [
            ("THING", "a"),
            ("ENDPOINT", "b"),
            ("UNCLAIMED", "leave"),
            ("CA", "c"),
        ];
        let values = values.map(|(member, value)| (format!("JOBS_AGENT_{member}"), value));
        let found = values.into_iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.to_owned())
    });
    let config = config.unwrap();
    assert_eq!(
        (config.unclaimed, config.ca),
        (UnclaimedPolicy::Leave, Some("c".into()))
    );
    let nameless = Config::parse("endpoint = \"b\"", Path::new("config.toml"), |_| None);
    assert!(
        nameless
            .unwrap_err()
            .to_string()
            .contains("`thing` is missing")
    );
    let wrong = parse("", &[("JOBS_AGENT_UNCLAIMED", "eat")]);
    assert!(wrong.unwrap_err().to_string().contains("UNCLAIMED"));
    let wrong = parse("", &[("JOBS_AGENT_PORT", "many")]);
    assert!(matches!(wrong, Err(ConfigFault::Number(name)) if name == "PORT"));
}

#[test]
fn a_certificate_makes_it_mutual_tls() {
    let config = parse("ca = \"a\"\ncert = \"c\"\nkey = \"k\"", &[]).unwrap();
    let link = config.link();
    assert_eq!(link.port, 8883);
    assert!(link.tls.is_some_and(|tls| tls.identity.is_some()));
}

#[test]
fn the_longest_wait_holds_for_every_cause() {
    let waits = parse("reconnect_max_s = 7\nkeep_alive_s = 300", &[]).unwrap();
    let link = waits.link();
    assert_eq!(
        (link.backoff.cap_ms, link.backoff.permanent_ms),
        (7_000, 7_000)
    );
    assert_eq!(link.keep_alive_s, 300);
    let least = parse("", &[]).unwrap().link();
    assert!(least.backoff.permanent_ms > least.backoff.cap_ms);
}

#[test]
fn each_mistake_is_told_by_its_name() {
    for (more, named) in [
        ("jobs = 3", "`jobs`"),
        ("cert = \"c\"", "`cert`"),
        ("cert = \"c\"\nkey = \"k\"", "`ca`"),
        ("reboot_command = []", "reboot_command"),
        ("colour = 1", "colour"),
        ("transport = \"telex\"", "telex"),
        ("transport = \"https\"", "`port`"),
        ("poll_interval_s = 9", "transport"),
        (
            "transport = \"https\"\nport = 1\npoll_interval_s = 0",
            "poll_interval_s",
        ),
        (
            "transport = \"https\"\nport = 1\npoll_interval_s = 5\nbusy_poll_interval_s = 6",
            "busy_poll_interval_s",
        ),
        ("[steps]\nhandler = [\"a\"]", "handler"),
        ("[steps]\nbuiltin = [\"format-disk\"]", "format-disk"),
        ("[steps]\nstep_timeout_s = 0", "step_timeout_s"),
        ("unclaimed = \"eat\"", "eat"),
        ("port = 70000", "port"),
        ("jobs = ", "line 3"),
        ("log = \"agent_std=loud\"", "`log`"),
        ("reconnect_max_s = 0", "reconnect_max_s"),
        ("keep_alive_s = 0", "keep-alive"),
        ("[metrics]\nlisten = \"localhost\"", "listen"),
    ] {
        let text = parse(more, &[]).unwrap_err().to_string();
        assert!(text.contains(named), "{more}: {text}");
    }
    let thing = parse("", &[("JOBS_AGENT_THING", "no/thing")]).unwrap_err();
    assert!(thing.to_string().contains("`thing`"));
}

#[test]
fn the_sample_configuration_is_one() {
    let sample = include_str!("../../packaging/config.toml");
    let config = Config::parse(sample, Path::new("config.toml"), |_| None).unwrap();
    assert!(
        !config.steps.allows_anything(),
        "a fresh installation does nothing"
    );
}

#[test]
fn one_attempt_is_too_few_for_what_takes_its_last_one_to_go_back() {
    let push = "[config_push.files.a]\npath = \"/etc/a\"\ncheck = [\"/bin/true\"]\n";
    let update = "[update.targets.a]\ndir = \"/d\"\ninstall = [\"/i\"]\nroll_back = [\"/b\"]\n";
    for section in [push, update] {
        let fault = parse(&format!("attempts_max = 1\n{section}"), &[]).unwrap_err();
        assert!(fault.to_string().contains("attempts_max"), "{fault}");
        parse(&format!("attempts_max = 2\n{section}"), &[]).unwrap();
    }
    parse("attempts_max = 1", &[]).unwrap();
}

#[test]
fn limits_leave_the_supervisor_what_it_needs_for_the_result() {
    for (member, least) in [
        ("file_bytes", 65_536_u64),
        ("memory_bytes", 67_108_864),
        ("open_files", 32),
    ] {
        let with = |value| parse(&format!("[steps.limits]\n{member} = {value}\n"), &[]);
        let fault = with(least - 1).unwrap_err().to_string();
        assert!(fault.contains(member), "{fault}");
        with(least).unwrap();
    }
}

#[test]
fn https_has_ports_and_intervals_of_its_own() {
    let files = "ca = \"a\"\ncert = \"c\"\nkey = \"k\"\n";
    let config = parse(&format!("{files}transport = \"https\""), &[]).unwrap();
    let https = config.https();
    assert_eq!((https.port, https.thing.as_str()), (8443, "pump-17"));
    assert_eq!((https.poll.busy_ms, https.poll.idle_ms), (15_000, 300_000));
    assert!(https.tls.is_some_and(|tls| tls.identity.is_some()));
    assert!(matches!(config.endpoint(), agent_std::Choice::That(_)));
    let variables = [
        ("JOBS_AGENT_TRANSPORT", "https"),
        ("JOBS_AGENT_PORT", "443"),
        ("JOBS_AGENT_POLL_INTERVAL_S", "10"),
    ];
    let https = parse(files, &variables).unwrap().https();
    assert_eq!(
        (https.port, https.poll.busy_ms, https.poll.idle_ms),
        (443, 10_000, 10_000)
    );
    assert_eq!(parse("transport = \"mqtt\"", &[]).unwrap().port(), 1883);
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let fault = |text: &str| {
        fs::write(&path, text).unwrap();
        Config::read(&path, |_| None).unwrap_err().to_string()
    };
    let least = "thing = \"a\"\nendpoint = \"b\"\n";
    let text = fault(&format!("{least}[steps.limits]\nprocesses = \"many\"\n"));
    assert!(text.contains("steps.limits.processes"), "{text}");
    let text = fault(&format!("{least}[steps]\ncomands = []\n"));
    assert!(
        text.contains("`comands`") && text.contains("in `steps`"),
        "{text}"
    );
    let text = fault(&format!("{least}port = = 1\n"));
    assert!(text.contains("line 3"), "{text}");
}
