//! Command lines in, commands or errors out.

use super::*;

fn parse_args(args: &[&str]) -> Result<Command, CliError> {
    parse(args.iter().map(OsString::from), &|_| None)
}

/// A command in a line: its name and what tells it from others.
fn brief(command: &Command) -> String {
    let ports = |loaded: &Loaded| format!("{} {}", loaded.config.http_port, loaded.config.https_port);
    match command {
        Command::Run(loaded) => format!("run {}", ports(loaded)),
        Command::Demo(loaded) => format!("demo {}", ports(loaded)),
        Command::Validate { input: Input::Stdin, .. } => "validate -".to_owned(),
        Command::Validate { input: Input::Path(path), .. } => format!("validate {}", path.display()),
        Command::WaitShutdown => "wait-shutdown".to_owned(),
        Command::Version => "version".to_owned(),
        Command::Help(text) => format!("help: {}", text.lines().next().unwrap_or_default()),
    }
}

#[test]
fn commands() {
    let all = format!("help: {VERSION}: an ingress controller and reverse proxy");
    let rows: &[(&[&str], &str)] = &[
        (&[], "run 80 443"),
        (&["portcullis"], "run 80 443"),
        (&["portcullis", "run"], "run 80 443"),
        (&["portcullis", "run", "--http-port=1"], "run 1 443"),
        (&["portcullis", "--http-port", "1"], "run 1 443"),
        (&["/nginx-ingress-controller", "--http-port=1"], "run 1 443"),
        (&["/portcullis", "/nginx-ingress-controller", "--http-port=1"], "run 1 443"),
        (&["/portcullis", "/nginx-ingress-controller"], "run 80 443"),
        (&["/nginx-ingress-controller", "run"], "run 80 443"),
        (&["portcullis", "run", "stray"], "run 80 443"),
        (&["portcullis", "demo"], "demo 8080 8443"),
        (&["portcullis", "demo", "--http-port", "1", "--https-port=2"], "demo 1 2"),
        (&["portcullis", "wait-shutdown"], "wait-shutdown"),
        (&["/wait-shutdown"], "wait-shutdown"),
        (&["portcullis", "validate", "-"], "validate -"),
        (&["portcullis", "validate", "dir"], "validate dir"),
        (&["portcullis", "validate", "--ingress-class=a", "a.yaml", "-v=2"], "validate a.yaml"),
        (&["portcullis", "validate", "--manifests=dir"], "validate dir"),
        (&["portcullis", "version"], "version"),
        (&["portcullis", "--version"], "version"),
        (&["portcullis", "run", "--version", "--http-port=443"], "version"),
        (&["portcullis", "--version=false"], "run 80 443"),
        (&["portcullis", "help"], &all),
        (&["portcullis", "--help"], &all),
        (&["portcullis", "-h"], &all),
        (&["portcullis", "help", "--help"], &all),
        (&["portcullis", "run", "--help"], "help: Serve. The default: flags may stand without it."),
        (&["portcullis", "help", "validate"], "help: Check manifests and say what would become of them."),
    ];
    for (args, expected) in rows {
        assert_eq!(brief(&parse_args(args).unwrap()), *expected, "{args:?}");
    }
}

#[test]
fn errors() {
    let rows: &[(&[&str], &str)] = &[
        (&["portcullis", "vaildate", "a"], "unknown command \"vaildate\"; did you mean validate?; see portcullis help"),
        (&["portcullis", "something"], "unknown command \"something\"; see portcullis help"),
        (&["portcullis", "help", "something"], "unknown command \"something\"; see portcullis help"),
        (&["portcullis", "validate"], CliError::NoInput.to_string().leak()),
        (&["portcullis", "validate", "a", "b"], "validate: argument \"b\" is one too many"),
        (&["portcullis", "demo", "a"], "demo: argument \"a\" is one too many"),
        (
            &["portcullis", "demo", "--manifests=a"],
            "demo: flag --manifests has no meaning here, the demo brings its own objects",
        ),
        (&["portcullis", "run", "--http-prot"], "unknown flag --http-prot (argument); did you mean --http-port?"),
    ];
    for (args, expected) in rows {
        assert_eq!(parse_args(args).unwrap_err().to_string(), *expected, "{args:?}");
    }
}

#[test]
fn the_charts_deployment() {
    let args = [
        "/portcullis",
        "/nginx-ingress-controller",
        "--publish-service=$(POD_NAMESPACE)/ingress-nginx-controller",
        "--election-id=ingress-nginx-leader",
        "--controller-class=k8s.io/ingress-nginx",
        "--ingress-class=nginx",
        "--configmap=$(POD_NAMESPACE)/ingress-nginx-controller",
        "--validating-webhook=:8443",
        "--validating-webhook-certificate=/usr/local/certificates/cert",
        "--validating-webhook-key=/usr/local/certificates/key",
    ];
    let Command::Run(loaded) = parse_args(&args).unwrap() else { panic!("not run") };
    assert_eq!(loaded.config.configmap.unwrap().name, "ingress-nginx-controller");
    assert_eq!(loaded.config.publish_service.unwrap().name, "ingress-nginx-controller");
    assert!(loaded.warnings.is_empty(), "{:#?}", loaded.warnings);
}

#[test]
fn help_lists_the_flags_of_the_command() {
    let rows = [
        ("run", "--http-port", true),
        ("run", "--configmap", true),
        ("run", "--status-port", false),
        ("demo", "--http-port", true),
        ("demo", "--configmap", false),
        ("validate", "--configmap", true),
        ("validate", "--http-port", false),
    ];
    for (command, flag, expected) in rows {
        let Command::Help(text) = parse_args(&["portcullis", command, "--help"]).unwrap() else { panic!("no help") };
        let found = text.lines().any(|line| line.trim_start().starts_with(flag));
        assert_eq!(found, expected, "{command} {flag}\n{text}");
    }
}
