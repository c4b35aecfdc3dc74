//! The boundary of the module: arguments, environment and a file in; a config, its origins, warnings or an error out.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::row::Support;
use super::*;

fn load_with(args: &[&str], env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    Config::load(args.iter().map(OsString::from), &|name| env.get(name).map(|text| (*text).to_owned()))
}

fn load(args: &[&str]) -> Result<Loaded, ConfigError> {
    load_with(args, &[])
}

fn text(loaded: &Loaded, flag: &str) -> String {
    loaded.settings.iter().find(|setting| setting.row.name == flag).unwrap().text.clone()
}

fn origin(loaded: &Loaded, flag: &str) -> Origin {
    loaded.settings.iter().find(|setting| setting.row.name == flag).unwrap().origin.clone()
}

#[test]
fn rows_are_sound() {
    let mut names = BTreeSet::new();
    for row in flags::ROWS {
        assert!(names.insert(row.name), "{} is there twice", row.name);
        assert!((row.accepts)(row.default), "{}: the default {:?} does not fit", row.name, row.default);
        assert!(row.bare.is_none_or(row.accepts), "{}: the bare value does not fit", row.name);
        assert!(row.doc.ends_with('.'), "{}: {:?} is no sentence", row.name, row.doc);
        let acted_on = !matches!(row.support, Support::Ignored(_));
        let is_loaders = matches!(row.name, "config" | "print-config" | "version" | "help");
        assert_eq!(row.has_field || is_loaders, acted_on, "{}: a field is there to be acted on", row.name);
    }
}

#[test]
fn defaults() {
    let Loaded { config, warnings, print_config, settings } = load(&[]).unwrap();
    assert_eq!((config.http_port, config.https_port, config.healthz_port), (80, 443, 10254));
    assert_eq!(config.controller_class, "k8s.io/ingress-nginx");
    assert_eq!(config.ingress_class, "nginx");
    assert_eq!(config.annotations_prefix, "nginx.ingress.kubernetes.io");
    assert_eq!(config.health_check_path, "/healthz");
    assert_eq!((config.watch_namespace, config.configmap, config.enable_metrics), (None, None, None));
    assert!(config.enable_annotation_validation && config.metrics_per_host);
    assert_eq!(config.shutdown_grace_period, Duration::ZERO);
    assert_eq!(config.post_shutdown_grace_period, Duration::ZERO);
    assert_eq!(config.length_buckets.len(), 10);
    assert!(warnings.is_empty() && !print_config);
    assert!(settings.iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn forms_of_arguments() {
    let rows: &[(&[&str], &str, &str)] = &[
        (&["--http-port=8080"], "http-port", "8080"),
        (&["--http-port", "8080"], "http-port", "8080"),
        (&["--http-port=1", "--http-port=2"], "http-port", "2"),
        (&["--configmap=a/b=c"], "configmap", "a/b=c"),
        (&["--watch-namespace="], "watch-namespace", ""),
        (&["--watch-namespace", "--enable-metrics"], "watch-namespace", "--enable-metrics"),
        (&["--enable-metrics"], "enable-metrics", "true"),
        (&["--enable-metrics=f"], "enable-metrics", "f"),
        (&["--enable-metrics=0"], "enable-metrics", "0"),
        (&["--enable-metrics", "false"], "enable-metrics", "true"),
        (&["--enable-metrics=false", "--enable-metrics"], "enable-metrics", "true"),
        (&["-v=2"], "v", "2"),
        (&["-v", "2"], "v", "2"),
        (&["-v2"], "v", "2"),
        (&["--v=2"], "v", "2"),
        (&["--v", "2"], "v", "2"),
        (&["--logtostderr", "--v=2"], "logtostderr", "true"),
        (&["stray", "--http-port=8080"], "http-port", "8080"),
        (&["--", "--http-port=8080"], "http-port", "80"),
        (&["--http-address=127.0.0.1", "--http-address=::1"], "http-address", "127.0.0.1,::1"),
        (&["--time-buckets=1,2", "--time-buckets=3"], "time-buckets", "1,2,3"),
    ];
    for (args, flag, expected) in rows {
        assert_eq!(text(&load(args).unwrap(), flag), *expected, "{args:?}");
    }
}

#[test]
fn klog_flags_are_accepted() {
    let args = [
        "-v=3",
        "--logtostderr=false",
        "--alsologtostderr",
        "--stderrthreshold=INFO",
        "--log_dir=/tmp",
        "--log_file=/tmp/log",
        "--log_file_max_size=10",
        "--vmodule=controller=4",
        "--skip_headers",
        "--skip_log_headers=true",
        "--add_dir_header",
        "--one_output",
        "--log_backtrace_at=main.go:1",
        "--legacy_stderr_threshold_behavior=false",
    ];
    let loaded = load(&args).unwrap();
    assert_eq!(loaded.config.v, 3);
    assert_eq!(loaded.warnings.len(), args.len() - 1, "{:#?}", loaded.warnings);
}

#[test]
fn errors_name_the_flag_and_the_reason() {
    let rows: &[(&[&str], &str)] = &[
        (&["--http-prot=80"], "unknown flag --http-prot (argument); did you mean --http-port?"),
        (&["--no-such-flag-at-all"], "unknown flag --no-such-flag-at-all (argument)"),
        (&["-configmap=a/b"], "unknown flag -configmap (argument); did you mean --configmap?"),
        (&["-version"], "unknown flag -version (argument); did you mean --version?"),
        (&["-x"], "unknown flag -x (argument); did you mean --v?"),
        (&["--=1"], "argument \"--=1\" has not the form of a flag: --name or --name=value"),
        (&["---v"], "argument \"---v\" has not the form of a flag: --name or --name=value"),
        (&["--configmap"], "flag --configmap needs a value: namespace/name"),
        (&["--configmap=a"], "flag --configmap: \"a\" is not namespace/name (argument)"),
        (&["--http-port=65536"], "flag --http-port: \"65536\" is not a port: 0 to 65535 (argument)"),
        (&["--http-port="], "flag --http-port: \"\" is not a port: 0 to 65535 (argument)"),
        (&["--enable-metrics=yes"], "flag --enable-metrics: \"yes\" is not true or false (argument)"),
        (&["--election-ttl=30"], "flag --election-ttl: \"30\" is not a duration such as 30s, 1m30s or 1.5h (argument)"),
        (
            &["--size-buckets=2,1"],
            "flag --size-buckets: \"2,1\" is not ascending numbers, separated by commas (argument)",
        ),
        (
            &["--publish-service=a/b", "--publish-status-address=192.0.2.1"],
            "flags --publish-service and --publish-status-address exclude each other",
        ),
        (
            &["--watch-namespace=a", "--watch-namespace-selector=b=c"],
            "flags --watch-namespace and --watch-namespace-selector exclude each other",
        ),
        (
            &["--metrics-per-undefined-host", "--metrics-per-host=false"],
            "flag --metrics-per-undefined-host needs --metrics-per-host",
        ),
        (&["--http-port=443"], "flags --http-port and --https-port cannot both be port 443 of one address"),
    ];
    for (args, expected) in rows {
        assert_eq!(load(args).unwrap_err().to_string(), *expected, "{args:?}");
    }
}

#[test]
fn one_port_on_several_addresses() {
    let rows: &[(&str, &str, bool)] = &[
        ("", "", false),
        ("127.0.0.1", "", false),
        ("127.0.0.1", "127.0.0.2", true),
        ("127.0.0.1", "127.0.0.2,127.0.0.1", false),
        ("0.0.0.0", "127.0.0.1", false),
        ("0.0.0.0", "::1", true),
    ];
    for (http, https, fits) in rows {
        let addresses = [format!("--http-address={http}"), format!("--https-address={https}")];
        let loaded = load(&["--http-port=8080", "--https-port=8080", &addresses[0], &addresses[1]]);
        assert_eq!(loaded.is_ok(), *fits, "{http:?} {https:?}");
    }
    assert!(load(&["--http-port=0", "--https-port=0", "--healthz-port=0"]).is_ok(), "the system chooses three ports");
}

/// A file with `text`, for `--config`.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flags.yaml");
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn precedence_is_per_flag() {
    let (_dir, path) = file("http-port: 1\nhttps-port: 2\nhealthz-port: 3\n");
    let config = format!("--config={path}");
    let env = [("PORTCULLIS_HTTP_PORT", "11"), ("PORTCULLIS_HTTPS_PORT", "12"), ("PORTCULLIS_WORKERS", "")];
    let loaded = load_with(&[&config, "--http-port=21"], &env).unwrap();
    let rows = [
        ("http-port", "21", Origin::Argument),
        ("https-port", "12", Origin::Environment("PORTCULLIS_HTTPS_PORT".into())),
        ("healthz-port", "3", Origin::File(PathBuf::from(&path))),
        ("workers", "0", Origin::Default),
    ];
    for (flag, expected, from) in rows {
        assert_eq!((text(&loaded, flag), origin(&loaded, flag)), (expected.to_owned(), from), "{flag}");
    }
    let by_env = load_with(&[], &[("PORTCULLIS_CONFIG", &path), ("POD_NAME", "a"), ("POD_NAMESPACE", "b")]).unwrap();
    assert_eq!(by_env.config.http_port, 1);
    assert_eq!((by_env.config.pod_name.as_deref(), by_env.config.pod_namespace.as_deref()), (Some("a"), Some("b")));
}

#[test]
fn the_environment() {
    let error = load_with(&[], &[("PORTCULLIS_HTTP_PORT", "eighty")]).unwrap_err().to_string();
    let expected = "flag --http-port: \"eighty\" is not a port: 0 to 65535 (environment PORTCULLIS_HTTP_PORT)";
    assert_eq!(error, expected);
    let linked = load_with(&[], &[("PORTCULLIS_HTTP_PORT", "tcp://192.0.2.1:80")]).unwrap();
    assert_eq!((linked.config.http_port, linked.warnings.len()), (80, 1), "{:?}", linked.warnings);
    let image = load_with(&[], &[("PORTCULLIS_VERSION", "1.2.3"), ("PORTCULLIS_HELP", "no")]);
    assert!(image.unwrap().warnings.is_empty(), "variables that are no flags of ours are nobody's business");
}

#[test]
fn files() {
    let rows: &[(&str, &str, &str)] = &[
        ("", "http-port", "80"),
        ("# nothing\n", "http-port", "80"),
        ("http-port: 8080", "http-port", "8080"),
        ("{\"http-port\": 8080, \"enable-metrics\": true}", "enable-metrics", "true"),
        ("http-port: \"8080\"", "http-port", "8080"),
        ("http-port:", "http-port", "80"),
        ("time-buckets: [0.5, 1, 2.5]", "time-buckets", "0.5,1,2.5"),
        ("http-address: ['127.0.0.1', '::1']", "http-address", "127.0.0.1,::1"),
        ("configmap: a/b", "configmap", "a/b"),
    ];
    for (content, flag, expected) in rows {
        let (_dir, path) = file(content);
        assert_eq!(text(&load(&["--config", &path]).unwrap(), flag), *expected, "{content:?}");
    }
}

#[test]
fn files_with_errors() {
    let rows: &[(&str, &str)] = &[
        ("http_port: 80", "unknown flag http_port (file F); did you mean --http-port?"),
        ("http-port: [80]", "flag --http-port: \"[80]\" is not a port: 0 to 65535 (file F)"),
        ("http-port: {a: 1}", "flag --http-port: \"{\\\"a\\\":1}\" is not a port: 0 to 65535 (file F)"),
        ("http-port: eighty", "flag --http-port: \"eighty\" is not a port: 0 to 65535 (file F)"),
        (
            "config: other.yaml",
            "flag --config can only be given as an argument or in the environment, not in the file F",
        ),
        ("version: true", "flag --version can only be given as an argument, not in the file F"),
        ("config-file: 1", "unknown flag config-file (file F)"),
        ("- http-port", "flag --config: F: not a mapping of flags to values: "),
        ("http-port: 1\nhttp-port: 2", "flag --config: F: line 2: http-port is there twice"),
        ("http-port: [", "flag --config: F: not a mapping of flags to values: "),
    ];
    for (content, expected) in rows {
        let (_dir, path) = file(content);
        let error = load(&["--config", &path]).unwrap_err().to_string().replace(&path, "F");
        assert!(error.starts_with(expected) && !error.contains('\n'), "{content:?}: {error}");
    }
    let missing = load(&["--config=/no/such/file"]).unwrap_err().to_string();
    assert!(missing.starts_with("flag --config: /no/such/file: "), "{missing}");
}

#[test]
fn the_effective_config_reads_back() {
    let args = ["--configmap=a/b", "--time-buckets=1,2", "--controller-class=true", "--http-address=::1", "--v=9"];
    let loaded = load_with(&args, &[("PORTCULLIS_WATCH_NAMESPACE", "0x7: #"), ("POD_NAME", "pod")]).unwrap();
    let printed = loaded.effective();
    for line in ["configmap: \"a/b\" # argument", "http-port: 80 # default", "# POD_NAME=\"pod\" in the environment"] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is missing in\n{printed}");
    }
    let (_dir, path) = file(&printed);
    let again = load_with(&["--config", &path], &[("POD_NAME", "pod")]).unwrap();
    assert_eq!(again.config, loaded.config, "{printed}");
    assert!(load(&["--print-config"]).unwrap().print_config);
}

#[test]
fn log_levels() {
    use LogLevel::{Debug, Info, Trace, Warn};
    let rows: &[(&[&str], LogLevel)] = &[
        (&[], Info),
        (&["-v=4"], Info),
        (&["-v=5"], Debug),
        (&["-v=9"], Trace),
        (&["-v=5", "--log-level=warn"], Warn),
        (&["--v=-1"], Info),
    ];
    for (args, expected) in rows {
        assert_eq!(load(args).unwrap().config.effective_log_level(), *expected, "{args:?}");
    }
}

#[test]
fn ignored_flags_warn_once_each() {
    let rows: &[(&[&str], &[&str])] = &[
        (
            &["--sync-period=1m", "--sync-period=2m"],
            &[
                "flag --sync-period is ignored (argument): a watch that is lost is taken up where it was: nothing has to be read again",
            ],
        ),
        (&["--status-port=1"], &["flag --status-port is ignored (argument): nginx's own, there is no nginx here"]),
        (
            &["--enable-metrics", "false"],
            &["argument \"false\" is ignored: it is no flag (the value of a switch stands after \"=\")"],
        ),
        (&["--http-port=8080"], &[]),
    ];
    for (args, expected) in rows {
        assert_eq!(load(args).unwrap().warnings, *expected, "{args:?}");
    }
}
