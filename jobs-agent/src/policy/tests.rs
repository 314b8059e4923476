use super::*;

fn document(json: &str) -> StepDocument {
    StepDocument::read(json.as_bytes()).unwrap().unwrap()
}

fn handler(name: &str, rest: &str) -> StepDocument {
    document(&format!(
        r#"{{"version":"1.0","steps":[{{"action":{{"name":"s","type":"runHandler",
        "input":{{"handler":"{name}"{rest}}}}}}}]}}"#
    ))
}

fn command(command: &str) -> StepDocument {
    document(&format!(
        r#"{{"version":"1.0","steps":[{{"action":{{"name":"s","type":"runCommand",
        "input":{{"command":"{command}"}}}}}}]}}"#
    ))
}

fn refused(policy: &StepPolicy, document: &StepDocument) -> String {
    policy.tasks(document).unwrap_err().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn nothing_is_allowed_unless_it_is_listed() {
    let policy = StepPolicy::default();
    assert!(!policy.allows_anything());
    assert!(refused(&policy, &handler("reboot.sh", "")).contains("not allowed"));
    assert!(refused(&policy, &command("true")).contains("not allowed"));
}

#[test]
fn a_listed_handler_gets_the_user_s_name_first() {
    let policy = StepPolicy {
        handlers: words(&["h.sh"]),
        users: words(&["ana"]),
        ..StepPolicy::default()
    };
    let mut document = handler("h.sh", r#","args":["a b","c"]"#);
    document.steps[0].run_as = Some("ana".into());
    let Task::Handler { dir, name, args } = policy.tasks(&document).unwrap().remove(0) else {
        panic!("a handler");
    };
    assert_eq!(
        (dir, name.as_str()),
        (PathBuf::from("/etc/jobs-agent/handlers"), "h.sh")
    );
    assert_eq!(args, ["ana", "a b", "c"]);
}

#[test]
fn handlers_outside_of_the_folders_are_refused() {
    let policy = StepPolicy {
        handlers: words(&["*"]),
        handler_dirs: vec!["/opt/h".into(), "/opt/k".into()],
        ..StepPolicy::default()
    };
    for name in ["../h.sh", "/bin/sh", "a/b", "..", "."] {
        assert!(
            refused(&policy, &handler(name, "")).contains("file name"),
            "{name}"
        );
    }
    for path in ["/bin", "/opt/h/..", "/opt/h/../../bin", "opt/h", "/opt/hh"] {
        let document = handler("x", &format!(r#","path":"{path}""#));
        assert!(refused(&policy, &document).contains("`path`"), "{path}");
    }
    for path in ["/opt/k", "/opt/k/"] {
        let document = handler("x", &format!(r#","path":"{path}""#));
        assert!(policy.tasks(&document).is_ok(), "{path}");
    }
}

#[test]
fn a_user_who_is_not_listed_is_refused() {
    let policy = StepPolicy {
        commands: words(&["true"]),
        users: words(&["ana"]),
        ..StepPolicy::default()
    };
    let mut document = command("true");
    document.steps[0].run_as = Some("root".into());
    assert!(refused(&policy, &document).contains("root"));
}

#[test]
fn commands_are_listed_by_the_very_word() {
    let policy = StepPolicy {
        commands: words(&["echo", "/usr/bin/id"]),
        ..StepPolicy::default()
    };
    assert!(policy.tasks(&command("echo,a")).is_ok());
    assert!(policy.tasks(&command("/usr/bin/id")).is_ok());
    for other in ["id", "/bin/echo", "./echo", "Echo", "sh,-c,echo"] {
        assert!(
            refused(&policy, &command(other)).contains("not allowed"),
            "{other}"
        );
    }
}

#[test]
fn conditions_are_looked_at_unless_the_operator_says_otherwise() {
    let mut policy = StepPolicy {
        commands: words(&["true"]),
        ..StepPolicy::default()
    };
    policy.attributes.insert("site".into(), "lab".into());
    let with = |key: &str, value: &str, kind: &str| {
        let mut document = command("true");
        document.conditions.push(Condition {
            key: key.into(),
            values: vec![value.into()],
            kind: kind.into(),
        });
        document
    };
    assert!(policy.tasks(&with("site", "lab", "stringEqual")).is_ok());
    assert!(refused(&policy, &with("site", "field", "")).contains("site is lab, not field"));
    assert!(refused(&policy, &with("colour", "red", "")).contains("colour"));
    assert!(refused(&policy, &with("site", "lab", "regex")).contains("regex"));
    policy.ignore_conditions = true;
    assert!(policy.tasks(&with("colour", "red", "")).is_ok());
}

#[test]
fn names_of_packages_are_names_and_no_options() {
    let policy = StepPolicy {
        builtin: Builtin::ALL.to_vec(),
        ..StepPolicy::default()
    };
    let install = |args: &str| handler("install-packages.sh", &format!(r#","args":[{args}]"#));
    let Task::Command { program, args } = policy
        .tasks(&install(r#""lftp dos2unix","libc6:i386""#))
        .unwrap()
        .remove(0)
    else {
        panic!("a command");
    };
    assert_eq!(program, "apt-get");
    assert_eq!(
        args,
        ["install", "--yes", "--", "lftp", "dos2unix", "libc6:i386"]
    );
    for hostile in [
        "",
        r#""""#,
        r#""-oX=y""#,
        r#""/tmp/a.deb""#,
        r#""a;b""#,
        r#""$(x)""#,
        r#""./a""#,
    ] {
        refused(&policy, &install(hostile));
    }
}

/// The eight templates as the service renders them, with optional parameters left in three ways.
#[test]
fn each_managed_template_comes_down_to_its_operation() {
    let mut policy = StepPolicy {
        builtin: Builtin::ALL.to_vec(),
        commands: words(&["uptime"]),
        ..StepPolicy::default()
    };
    policy.download.dirs = vec!["/var/lib/files".into()];
    policy.download.hosts = words(&["one.test"]);
    let service = |verb: &str| ("systemctl", words(&[verb, "--", "ssh"]));
    for unset in [r#""""#, "null", r#""${aws:iot:parameter:pathToHandler}""#] {
        for (handler, args, (program, wanted)) in [
            (
                "install-packages.sh",
                r#""vim""#,
                ("apt-get", words(&["install", "--yes", "--", "vim"])),
            ),
            (
                "remove-packages.sh",
                r#""vim""#,
                ("apt-get", words(&["remove", "--yes", "--", "vim"])),
            ),
            ("start-services.sh", r#""ssh""#, service("start")),
            ("stop-services.sh", r#""ssh""#, service("stop")),
            ("restart-services.sh", r#""ssh""#, service("restart")),
        ] {
            let template = handler_of(handler, args, unset);
            let wanted = Task::Command {
                program: program.into(),
                args: wanted,
            };
            assert_eq!(
                policy.tasks(&template).unwrap(),
                [wanted],
                "{handler} {unset}"
            );
        }
        let reboot = handler_of("reboot.sh", "", unset);
        assert_eq!(policy.tasks(&reboot).unwrap(), [Task::Reboot]);
        let download = handler_of(
            "download-file.sh",
            r#""https://one.test/f","/var/lib/files/f""#,
            unset,
        );
        assert!(matches!(
            &policy.tasks(&download).unwrap()[..],
            [Task::Download { .. }]
        ));
    }
    let run = policy.tasks(&command("uptime,-p")).unwrap();
    assert_eq!(
        run,
        [Task::Command {
            program: "uptime".into(),
            args: words(&["-p"])
        }]
    );
}

fn handler_of(handler: &str, args: &str, unset: &str) -> StepDocument {
    document(&format!(
        r#"{{"version":"1.0","steps":[{{"action":{{"name":"s","type":"runHandler",
        "runAsUser":{unset},"input":{{"handler":"{handler}","args":[{args}],"path":{unset}}}}}}}]}}"#
    ))
}

#[test]
fn files_go_to_download_folders_only() {
    let mut policy = StepPolicy {
        builtin: vec![Builtin::DownloadFile],
        ..StepPolicy::default()
    };
    policy.download.dirs = vec!["/var/lib/files".into()];
    policy.download.hosts = words(&["*.example.org", "one.test"]);
    let download = |url: &str, path: &str| {
        policy.tasks(&handler(
            "download-file.sh",
            &format!(r#","args":["{url}","{path}"]"#),
        ))
    };
    let good = "https://a.example.org/f?X-Amz-Signature=1";
    assert!(download(good, "/var/lib/files/a/f").is_ok());
    assert!(download("https://one.test:8443/f", "/var/lib/files/f").is_ok());
    for path in [
        "/etc/passwd",
        "/var/lib/files/../../x",
        "f",
        "/var/lib/filesystem/x",
        "/var/lib/files",
        "",
    ] {
        assert!(download(good, path).is_err(), "{path}");
    }
    for url in [
        "http://one.test/f",
        "file:///etc/passwd",
        "https://example.org/f",
        "https://evilexample.org/f",
        "https://one.test@evil.test/f",
        "https://evil.test/?one.test",
        "https://[::1]/f",
        "https:///f",
        "ftp://one.test/f",
        "one.test/f",
    ] {
        assert!(download(url, "/var/lib/files/f").is_err(), "{url}");
    }
}
