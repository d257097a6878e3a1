//! The configuration file: its defaults, and what is said about each kind of mistake.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use stationmaster::config::Config;
use std::collections::BTreeSet;
use std::path::Path;

const SHIPPED: &str = include_str!("../conf/stationmaster.toml");

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("sm.toml"), text).map_err(|errors| errors.to_string())
}

#[test]
fn the_shipped_file_is_the_defaults() {
    assert_eq!(parse(SHIPPED).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn the_shipped_file_lists_every_key_with_a_comment() {
    let mut section = String::new();
    let mut listed = BTreeSet::new();
    let mut before = "";
    for line in SHIPPED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            assert!(before.starts_with('#'), "{section}.{key} has no comment");
            listed.insert(format!("{section}.{key}"));
        }
        before = line;
    }
    let keys: BTreeSet<_> = Config::default().entries().into_iter().map(|(key, _)| key.to_owned()).collect();
    assert_eq!(listed, keys);
}

/// A text, and the errors it must give.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    // no TOML
    ("[sip]\nlisten = \n", "error: sm.toml:2: sip.listen: "),
    ("[sip\n", "error: sm.toml:1: "),
    ("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", "error: sm.toml:3: log.level: duplicate key"),
    // unknown
    ("\n[sipp]\n", "error: sm.toml:2: sipp: unknown key `sipp`, expected one of `sip`, `tls`,"),
    ("[sip]\n\nlistn = []\n", "error: sm.toml:3: sip.listn: unknown key `listn`, expected one of `listen`, `domains`,"),
    ("licence.max = 4\n", "error: sm.toml:1: licence.max: unknown key `max`, expected `max_devices`"),
    // wrong type
    ("[sip]\nlisten = \"udp:127.0.0.1:5060\"\n", "error: sm.toml:2: sip.listen: invalid type: string \"udp:127.0.0.1:5060\", expected a list"),
    ("[sip]\nshards = \"two\"\n", "error: sm.toml:2: sip.shards: invalid type: string \"two\", expected a whole number from 0 to 65535"),
    ("[lockout]\nmax_failures = -1\n", "error: sm.toml:2: lockout.max_failures: invalid value: integer `-1`, expected a whole number from 0 to 4294967295"),
    ("[auth]\nallow_without_qop = 1\n", "error: sm.toml:2: auth.allow_without_qop: invalid type: integer `1`, expected true or false"),
    ("[auth]\nalgorithms = 1\n", "error: sm.toml:2: auth.algorithms: invalid type: integer `1`, expected \"auto\" or a list of \"MD5\" and \"SHA-256\""),
    ("sip = 1\n", "error: sm.toml:1: sip: invalid type: integer `1`, expected a section"),
    ("[log]\nlevel = \"loud\"\n", "error: sm.toml:2: log.level: unknown variant `loud`, expected one of `error`, `warn`, `info`, `debug`, `trace`"),
    // wrong value
    ("[sip]\nlisten = []\n", "error: sm.toml:2: sip.listen: between 1 and 256 addresses are needed"),
    ("[sip]\nlisten = [\n  \"udp:127.0.0.1:5060\",\n  \"udp:localhost:5060\",\n]\n", "error: sm.toml:4: sip.listen: \"udp:localhost:5060\" is not TRANSPORT:ADDRESS:PORT such as \"udp:192.0.2.1:5060\" (names are not resolved; IPv6 stands in brackets)"),
    ("[sip]\nlisten = [\"quic:127.0.0.1:5060\"]\n", "error: sm.toml:2: sip.listen: \"quic:127.0.0.1:5060\": the transports are udp, tcp, tls, ws, wss"),
    ("[sip]\nlisten = [\"5060\"]\n", "error: sm.toml:2: sip.listen: \"5060\" is not TRANSPORT:ADDRESS:PORT such as \"udp:192.0.2.1:5060\""),
    ("[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]\n", "error: sm.toml:2: sip.listen: udp:127.0.0.1:5060 stands there twice"),
    ("[sip]\nlisten = [\"udp:10.0.0.1:5060 advertise x\"]\n", "error: sm.toml:2: sip.listen: \"x\" is neither ADDRESS nor ADDRESS:PORT"),
    ("[sip]\nlisten = [\"udp:10.0.0.1:5060 advertise 0.0.0.0\"]\n", "error: sm.toml:2: sip.listen: phones cannot reach \"0.0.0.0\""),
    ("[sip]\nlisten = [\"udp:10.0.0.1:5060 advertise 2001:db8::1\"]\n", "error: sm.toml:2: sip.listen: \"udp:10.0.0.1:5060 advertise 2001:db8::1\" advertises an address of the other family"),
    ("[sip]\ndomains = [\"example.com\", \"exa mple\"]\n", "error: sm.toml:2: sip.domains: \"exa mple\" is neither a host name nor an IP address"),
    ("[sip]\nrealm = \"a\\\"b\"\n", "error: sm.toml:2: sip.realm: 1 to 128 printable ASCII characters without \" and \\ are needed"),
    ("[sip]\nrealm = \"\"\n", "error: sm.toml:2: sip.realm: 1 to 128 printable ASCII characters without \" and \\ are needed"),
    ("[sip]\nadvertise = \"203.0.113.7:5060\"\n", "error: sm.toml:2: sip.advertise: \"203.0.113.7:5060\" is no IP address"),
    ("[sip]\nadvertise = \"::\"\n", "error: sm.toml:2: sip.advertise: phones cannot reach a wildcard address"),
    ("[sip]\ntrusted = [\"192.0.2.1/24\"]\n", "error: sm.toml:2: sip.trusted: \"192.0.2.1/24\": bits are set behind the prefix length"),
    ("[sip]\ndrain_max_s = 86401\n", "error: sm.toml:2: sip.drain_max_s: 86401 is more than 86400"),
    ("[sip]\nt1_ms = 99\n", "error: sm.toml:2: sip.t1_ms: 99 is not between 100 and 2000"),
    ("[sip]\nt1_ms = 2001\n", "error: sm.toml:2: sip.t1_ms: 2001 is not between 100 and 2000"),
    ("[sip]\nt2_ms = 30001\n", "error: sm.toml:2: sip.t2_ms: 30001 is not between 100 and 30000"),
    ("[sip]\nt1_ms = 800\nt2_ms = 799\n", "error: sm.toml:3: sip.t2_ms: 799 is less than t1_ms, 800"),
    ("[sip]\nt4_ms = 499\n", "error: sm.toml:2: sip.t4_ms: 499 is not between 500 and 30000"),
    ("[sip]\nshards = 1025\n", "error: sm.toml:2: sip.shards: 1025 is more than 1024"),
    ("[registrar]\nexpires_min_s = 0\n", "error: sm.toml:2: registrar.expires_min_s: 0 is not between 1 and 3600"),
    ("[auth]\nalgorithms = \"MD5\"\n", "error: sm.toml:2: auth.algorithms: \"MD5\" is neither \"auto\" nor a list such as [\"MD5\"]"),
    ("[auth]\nalgorithms = []\n", "error: sm.toml:2: auth.algorithms: without any algorithm nobody can sign in"),
    ("[auth]\nalgorithms = [\"MD5\",\n\"SHA1\"]\n", "error: sm.toml:3: auth.algorithms: \"SHA1\": known are \"MD5\" and \"SHA-256\""),
    ("[auth]\nalgorithms = [\"MD5\", \"MD5\"]\n", "error: sm.toml:2: auth.algorithms: \"MD5\" stands there twice"),
    ("[store]\nurl = \"redis://x\"\n", "error: sm.toml:2: store.url: \"redis://x\" is neither \"sled:/PATH\" nor \"memory:\""),
    ("[store]\nurl = \"sled:here\"\n", "error: sm.toml:2: store.url: \"here\" is no absolute path"),
    ("[store]\ncache_mib = 7\n", "error: sm.toml:2: store.cache_mib: 7 is not between 8 and 65536"),
    ("[secrets]\nkey_file = \"key\"\n", "error: sm.toml:2: secrets.key_file: \"key\" is neither an absolute path nor \"credential:NAME\""),
    ("[secrets]\nkey_file = \"credential:../x\"\n", "error: sm.toml:2: secrets.key_file: \"credential:../x\" is neither an absolute path nor \"credential:NAME\""),
    ("[admin]\nsocket = \"admin.sock\"\n", "error: sm.toml:2: admin.socket: \"admin.sock\" is no absolute path"),
    ("[http]\nlisten = \"8080\"\n", "error: sm.toml:2: http.listen: \"8080\" is not ADDRESS:PORT such as \"127.0.0.1:8080\""),
    ("[metrics]\nlisten = \"localhost:9464\"\n", "error: sm.toml:2: metrics.listen: \"localhost:9464\" is not ADDRESS:PORT such as \"127.0.0.1:8080\""),
    ("[lockout]\nmax_failures = 21\n", "error: sm.toml:2: lockout.max_failures: 21 is not between 1 and 20"),
    ("[lockout]\nwindow_s = 0\n", "error: sm.toml:2: lockout.window_s: 0 is not between 1 and 86400"),
    ("[lockout]\nduration_s = 86401\n", "error: sm.toml:2: lockout.duration_s: 86401 is not between 1 and 86400"),
    ("[licence]\nmax_devices = 0\n", "error: sm.toml:2: licence.max_devices: 0 is not between 1 and 16"),
    ("[licence]\nmax_devices = 17\n", "error: sm.toml:2: licence.max_devices: 17 is not between 1 and 16"),
    ("[http]\npublic_url = \"phones.example.com\"\n", "error: sm.toml:2: http.public_url: \"phones.example.com\" is not such as \"https://phones.example.com\""),
    ("[http]\npublic_url = \"https://x/?a\"\n", "error: sm.toml:2: http.public_url: \"https://x/?a\" is not such as \"https://phones.example.com\""),
    ("[invitation]\ndays = 0\n", "error: sm.toml:2: invitation.days: 0 is not between 1 and 90"),
    ("[invitation]\ndays = 91\n", "error: sm.toml:2: invitation.days: 91 is not between 1 and 90"),
    ("[mail]\nfrom = \"Phones\"\n", "error: sm.toml:2: mail.from: \"Phones\" is neither \"ADDRESS\" nor \"NAME <ADDRESS>\""),
    ("[mail]\nspool = \"mail\"\n", "error: sm.toml:2: mail.spool: \"mail\" is no absolute path"),
    ("[mail]\ntemplates = \"mail\"\n", "error: sm.toml:2: mail.templates: \"mail\" is no absolute path"),
    ("[mail]\nlanguage = \"de\"\n", "error: sm.toml:2: mail.language: \"de\": there are en, fr"),
    ("[mail]\ndownloads = [\"https://a\",\n\"ftp://b\"]\n", "error: sm.toml:3: mail.downloads: \"ftp://b\" is no web address"),
    ("[mail]\nsmtp = \"mail.example.com\"\n", "error: sm.toml:2: mail.smtp: \"mail.example.com\" is not such as \"smtps://mail.example.com\" or \"smtp://HOST:587\""),
    ("[mail]\nsmtp = \"smtp-plain://192.0.2.1\"\n", "error: sm.toml:2: mail.smtp: \"smtp-plain://192.0.2.1\": without TLS only to this machine"),
    ("[mail]\nsmtp_password_file = \"x\"\n", "error: sm.toml:2: mail.smtp_password_file: \"x\" is neither an absolute path nor \"credential:NAME\""),
    ("[mail]\nsmtp_user = \"x\"\n", "error: sm.toml:1: mail.smtp_password_file: a user without a password"),
    ("[mail]\nsmtp_password_file = \"/x\"\n", "error: sm.toml:1: mail.smtp_user: a password without a user"),
    ("[sms]\nurl = \"sms.example.com\"\n", "error: sm.toml:2: sms.url: \"sms.example.com\" is no address such as \"https://sms.example.com/send\""),
    ("[sms]\nurl = \"http://192.0.2.1/\"\n", "error: sm.toml:2: sms.url: \"http://192.0.2.1/\": without TLS only to this machine"),
    ("[sms]\nformat = \"xml\"\n", "error: sm.toml:2: sms.format: \"xml\" is neither \"form\" nor \"json\""),
    ("[sms]\nbody = \"To={to}\"\n", "error: sm.toml:2: sms.body: it has no {text}"),
    ("[sms]\nbody = \"To={to}&Body={text}{code}\"\n", "error: sm.toml:2: sms.body: there is no {code}: it may have {to}, {from} and {text}"),
    ("[sms]\nformat = \"json\"\nbody = '{\"to\":{to},\"text\":\"{text}\"}'\n", "error: sm.toml:3: sms.body: it is no JSON; each place stands in a string"),
    ("[sms]\nuser = \"a:b\"\nsecret_file = \"/x\"\n", "error: sm.toml:2: sms.user: a user has no colon"),
    ("[sms]\nuser = \"x\"\n", "error: sm.toml:1: sms.secret_file: a user without a password"),
    ("[sms]\nsecret_file = \"x\"\n", "error: sm.toml:2: sms.secret_file: \"x\" is neither an absolute path nor \"credential:NAME\""),
    ("[sms]\ntimeout_s = 0\n", "error: sm.toml:2: sms.timeout_s: 0 is not between 1 and 60"),
    ("[sms]\ntimeout_s = 61\n", "error: sm.toml:2: sms.timeout_s: 61 is not between 1 and 60"),
    ("[sms]\nprefixes = [\"+1\",\n\"44\"]\n", "error: sm.toml:3: sms.prefixes: \"44\" is no beginning of a number such as \"+44\""),
    ("[sms]\nper_hour_max = 0\n", "error: sm.toml:2: sms.per_hour_max: 0 is not between 1 and 100000"),
    ("[sms]\nper_hour_max = 100001\n", "error: sm.toml:2: sms.per_hour_max: 100001 is not between 1 and 100000"),
    ("[sms]\npassword = \"x\"\n", "error: sm.toml:2: sms.password: unknown key `password`"),
    ("[tls]\ncertificate = \"c.pem\"\nkey = \"/k\"\n", "error: sm.toml:2: tls.certificate: \"c.pem\" is neither an absolute path nor \"credential:NAME\""),
    ("[tls]\ncertificate = \"/c\"\nkey = \"credential:\"\n", "error: sm.toml:3: tls.key: \"credential:\" is neither an absolute path nor \"credential:NAME\""),
    ("[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n[[tls.domain]]\nname = \"192.0.2.1\"\ncertificate = \"/c\"\nkey = \"/k\"\n", "error: sm.toml:4: tls.domain: \"192.0.2.1\" is no name; clients cannot ask for an address"),
    ("[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n[[tls.domain]]\nname = \"a.b\"\nkey = \"/k\"\n", "error: sm.toml:4: tls.domain: missing field `certificate`"),
    ("[ws]\norigins = [\"https://a.example\",\n\"a.example\"]\n", "error: sm.toml:3: ws.origins: \"a.example\" is no origin such as \"https://phone.example.com\" (without a path), nor \"*\""),
    ("[ws]\norigins = [\"https://a.example/\"]\n", "error: sm.toml:2: ws.origins: \"https://a.example/\" is no origin"),
    // contradictions
    ("[sip]\nlisten = [\"udp:127.0.0.1:5060\",\n\"tls:127.0.0.1:5061\"]\n", "error: sm.toml:3: sip.listen: TLS needs tls.certificate and tls.key"),
    ("[sip]\nlisten = [\"wss:127.0.0.1:5061\"]\n", "error: sm.toml:2: sip.listen: TLS needs tls.certificate and tls.key"),
    ("[tls]\ncertificate = \"/c\"\n", "error: sm.toml:1: tls.key: a certificate needs its key"),
    ("[tls]\nkey = \"/k\"\n", "error: sm.toml:1: tls.certificate: a key needs its certificate"),
    ("[[tls.domain]]\nname = \"a.b\"\ncertificate = \"/c\"\nkey = \"/k\"\n", "error: sm.toml:1: tls.certificate: certificates of domains need a main one"),
    ("[tls]\nclient_required = true\n", "error: sm.toml:2: tls.client_required: needs client_ca: whose certificates are good"),
    ("[tls]\ncertificate = \"/c\"\nkey = \"/k\"\n[[tls.domain]]\nname = \"a.b\"\ncertificate = \"/c\"\nkey = \"/k\"\n[[tls.domain]]\nname = \"A.b\"\ncertificate = \"/c\"\nkey = \"/k\"\n", "error: sm.toml:8: tls.domain: \"a.b\" stands there twice"),
    ("[registrar]\nservice_route = [\n\"sip:a;lr\",\n\"sip:b\"]\n", "error: sm.toml:4: registrar.service_route: \"sip:b\" is no SIP URI with ;lr such as \"sip:proxy.example.com;lr\""),
    ("[registrar]\nexpires_min_s = 600\nexpires_max_s = 300\n", "error: sm.toml:3: registrar.expires_max_s: 300 is not between expires_min_s (600) and 604800"),
    // a key that is not written: its section's line; all sections at once
    ("# a\n[registrar]\nexpires_max_s = 30\n[licence]\nmax_devices = 0\n", "error: sm.toml:3: registrar.expires_max_s: 30 is not between expires_min_s (60) and 604800\nerror: sm.toml:5: licence.max_devices: 0 is not between 1 and 16"),
];

#[test]
fn each_mistake_is_told_with_file_line_key_and_reason() {
    for (text, error) in WRONG {
        let found = parse(text).expect_err(text);
        assert!(found.starts_with(error), "{text}\nfound  {found}\nwanted {error}");
    }
}

#[test]
fn what_is_right_at_the_edge() {
    for text in [
        "[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"tcp:[::]:5060\"]\nadvertise = \"203.0.113.7\"\n",
        "[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"tcp:10.0.0.1:5060 advertise 203.0.113.7:5062\", \"udp:[::1]:5060 advertise [2001:db8::1]:5060\"]\n",
        "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"udp:127.0.0.1:0\"]\n",
        "[sip]\nadvertise = \"2001:db8::1\"\ntrusted = [\"192.0.2.0/24\", \"2001:db8::1\"]\nshards = 1024\n",
        "[sip]\nt1_ms = 100\nt2_ms = 100\nt4_ms = 500\ndrain_max_s = 0\n",
        "[sip]\nt1_ms = 2000\nt2_ms = 30000\nt4_ms = 30000\ndrain_max_s = 86400\n",
        "[sip]\nlisten = [\"tls:127.0.0.1:5061\", \"ws:127.0.0.1:80\"]\n[tls]\ncertificate = \"/c\"\nkey = \"credential:k\"\nclient_ca = \"/ca\"\nclient_required = true\n",
        "[ws]\norigins = [\"*\", \"https://a.example\", \"http://localhost:8080\"]\n",
        "[registrar]\nexpires_max_s = 120\n",
        "[registrar]\nexpires_min_s = 3600\nexpires_max_s = 604800\n",
        "[auth]\nalgorithms = [\"SHA-256\", \"MD5\"]\nallow_without_qop = true\n",
        "[store]\nurl = \"memory:\"\ncache_mib = 8\n",
        "[lockout]\nmax_failures = 20\nwindow_s = 86400\nduration_s = 1\n",
        "[licence]\nmax_devices = 16\n",
        "[http]\nlisten = \"[::1]:8080\"\npublic_url = \"https://phones.example.com:8443/portal/\"\n",
        "[invitation]\ndays = 90\n",
        "[mail]\nfrom = \"a@b\"\nspool = \"/m\"\nlanguage = \"fr\"\ndownloads = [\"https://a/b?c#d\"]\n",
        "[mail]\nsmtp = \"smtps://[2001:db8::1]:465\"\nsmtp_user = \"x\"\nsmtp_password_file = \"credential:smtp\"\n",
        "[sms]\nurl = \"https://sms.example.com/send?x=1\"\nuser = \"AC1\"\nsecret_file = \"credential:sms\"\ntimeout_s = 60\nprefixes = [\"+1\", \"+44\"]\nper_hour_max = 100000\n",
        "[sms]\nurl = \"http://[::1]:8080/\"\nformat = \"json\"\nbody = '{\"m\":[{\"n\":\"{to}\",\"t\":\"{text}\"}]}'\nsecret_file = \"/token\"\ntimeout_s = 1\nper_hour_max = 1\n",
        "[log]\nformat = \"json\"\nlevel = \"trace\"\nshow_private = true\n",
    ] {
        assert_eq!(parse(text).map(drop), Ok(()), "{text}");
    }
}

#[test]
fn the_key_file_stands_beside_the_store_unless_named() {
    let credentials = Some(Path::new("/run/credentials/x"));
    for (text, path, credential) in [
        ("", "/var/lib/stationmaster/secret.key", false),
        ("store.url = \"memory:\"\nsecrets.key_file = \"/k\"", "/k", false),
        ("secrets.key_file = \"credential:key\"", "/run/credentials/x/key", true),
    ] {
        let found = parse(text).unwrap().key_file(credentials).unwrap();
        assert_eq!((found.path.as_path(), found.credential), (Path::new(path), credential), "{text}");
    }
    let config = parse("secrets.key_file = \"credential:key\"").unwrap();
    assert_eq!(config.key_file(None).unwrap_err().key, "key_file");
}

#[test]
fn a_reload_can_tell_what_changed() {
    let (old, new) = (parse("").unwrap(), parse("log.level = \"debug\"\nsip.shards = 2").unwrap());
    assert_eq!(old.differences(&new), ["sip.shards", "log.level"]);
    assert_eq!(old.differences(&old), Vec::<&str>::new());
}
