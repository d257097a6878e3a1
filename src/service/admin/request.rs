//! What can be asked.

use super::{Page, Search};
use crate::account::{AccountId, KeyId, LoginName, Role, StationId, TenantCode};
use crate::base::language::Language;
use crate::base::private::Secret;
use crate::base::time::Wall;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;

/// One command, ready to be executed: names have their form, everything else is still to be judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)] // each is the command of its name; its fields are that command's arguments
pub enum Request {
    TenantAdd {
        code: TenantCode,
        settings: TenantSettings,
    },
    TenantShow {
        code: TenantCode,
    },
    TenantList {
        after: Option<TenantCode>,
        limit: Option<usize>,
    },
    TenantSet {
        code: TenantCode,
        settings: TenantSettings,
    },
    TenantSuspend {
        code: TenantCode,
    },
    TenantResume {
        code: TenantCode,
    },
    TenantRemove {
        code: TenantCode,
        extensions: Expect,
    },
    ExtensionAdd {
        login: LoginName,
        name: String,
        email: Option<String>,
        password: Option<Password>,
    },
    ExtensionShow {
        login: LoginName,
    },
    ExtensionList {
        tenant: Option<TenantCode>,
        search: Search,
        page: Page,
    },
    ExtensionSet {
        login: LoginName,
        name: Option<String>,
        email: Option<String>,
        role: Option<Role>,
        #[serde(default)]
        numbers: NumberChanges,
    },
    ExtensionDisable {
        login: LoginName,
    },
    ExtensionEnable {
        login: LoginName,
    },
    ExtensionInvite {
        login: LoginName,
    },
    ExtensionRemove {
        login: LoginName,
    },
    PasswordSet {
        login: LoginName,
        password: NewPassword,
    },
    PasswordSuggest {
        login: LoginName,
    },
    PasswordReset {
        login: LoginName,
    },
    PinSet {
        login: LoginName,
        pin: Password,
    },
    PinRemove {
        login: LoginName,
    },
    QuestionSet {
        login: LoginName,
        question: String,
        answer: Password,
    },
    QuestionRemove {
        login: LoginName,
    },
    AppEnable {
        login: LoginName,
        email: Option<String>,
        password: NewPassword,
    },
    AppDisable {
        login: LoginName,
    },
    DeviceList {
        login: LoginName,
    },
    DeviceHistory {
        login: LoginName,
        device: Option<u32>,
    },
    DeviceRename {
        login: LoginName,
        device: u32,
        name: String,
    },
    DeviceRevoke {
        login: LoginName,
        device: u32,
    },
    DeviceAnyAlgorithm {
        login: LoginName,
        device: u32,
    },
    BindingList {
        login: LoginName,
    },
    BindingRemove {
        login: LoginName,
        contact: Option<String>,
    },
    LockList {
        tenant: Option<TenantCode>,
        number: Option<AccountId>,
    },
    LockClear {
        login: LoginName,
    },
    BanClear {
        source: IpAddr,
    },
    AuditList {
        tenant: Option<TenantCode>,
        number: Option<AccountId>,
        narrow: Narrow,
        last: usize,
    },
    AuditExport {
        tenant: Option<TenantCode>,
        number: Option<AccountId>,
        narrow: Narrow,
        after: Option<String>,
        #[serde(default)]
        limit: Option<usize>,
    },
    StationAdd {
        login: LoginName,
        name: String,
        password: NewPassword,
    },
    StationShow {
        login: LoginName,
    },
    StationList {
        tenant: Option<TenantCode>,
        after: Option<LoginName>,
    },
    StationSet {
        login: LoginName,
        name: Option<String>,
        password: Option<NewPassword>,
    },
    StationRemove {
        login: LoginName,
    },
    StationLogin {
        login: LoginName,
        station: StationId,
    },
    StationLogout {
        login: LoginName,
    },
    SecretsRotate,
    KeyAdd {
        login: Option<LoginName>,
        name: String,
    },
    KeyList {
        login: Option<LoginName>,
    },
    KeyRemove {
        login: Option<LoginName>,
        id: KeyId,
    },
    SecondShow {
        login: LoginName,
    },
    SecondClear {
        login: LoginName,
    },
    Import {
        csv: Password,
        #[serde(default)]
        skip_existing: bool,
    },
}

impl Request {
    /// The command as people type it, for the log and the audit.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::TenantAdd { .. } => "tenant add",
            Self::TenantShow { .. } => "tenant show",
            Self::TenantList { .. } => "tenant list",
            Self::TenantSet { .. } => "tenant set",
            Self::TenantSuspend { .. } => "tenant suspend",
            Self::TenantResume { .. } => "tenant resume",
            Self::TenantRemove { .. } => "tenant remove",
            Self::ExtensionAdd { .. } => "extension add",
            Self::ExtensionShow { .. } => "extension show",
            Self::ExtensionList { .. } => "extension list",
            Self::ExtensionSet { .. } => "extension set",
            Self::ExtensionDisable { .. } => "extension disable",
            Self::ExtensionEnable { .. } => "extension enable",
            Self::ExtensionInvite { .. } => "extension invite",
            Self::ExtensionRemove { .. } => "extension remove",
            Self::PasswordSet { .. } => "password set",
            Self::PasswordSuggest { .. } => "password suggest",
            Self::PasswordReset { .. } => "password reset",
            Self::PinSet { .. } => "pin set",
            Self::PinRemove { .. } => "pin remove",
            Self::QuestionSet { .. } => "question set",
            Self::QuestionRemove { .. } => "question remove",
            Self::AppEnable { .. } => "app enable",
            Self::AppDisable { .. } => "app disable",
            Self::DeviceList { .. } => "device list",
            Self::DeviceHistory { .. } => "device history",
            Self::DeviceRename { .. } => "device rename",
            Self::DeviceRevoke { .. } => "device revoke",
            Self::DeviceAnyAlgorithm { .. } => "device set --algorithm any",
            Self::BindingList { .. } => "binding list",
            Self::BindingRemove { .. } => "binding remove",
            Self::LockList { .. } => "lock list",
            Self::LockClear { .. } | Self::BanClear { .. } => "lock clear",
            Self::AuditList { .. } => "audit list",
            Self::AuditExport { .. } => "audit export",
            Self::StationAdd { .. } => "station add",
            Self::StationShow { .. } => "station show",
            Self::StationList { .. } => "station list",
            Self::StationSet { .. } => "station set",
            Self::StationRemove { .. } => "station remove",
            Self::StationLogin { .. } => "station login",
            Self::StationLogout { .. } => "station logout",
            Self::SecretsRotate => "secrets rotate",
            Self::KeyAdd { .. } => "key add",
            Self::KeyList { .. } => "key list",
            Self::KeyRemove { .. } => "key remove",
            Self::SecondShow { .. } => "second show",
            Self::SecondClear { .. } => "second clear",
            Self::Import { .. } => "import",
        }
    }

    /// Whether it is about a tenant or an extension that is there and has a revision.
    #[must_use]
    pub const fn has_revision(&self) -> bool {
        !matches!(
            self,
            Self::TenantAdd { .. }
                | Self::ExtensionAdd { .. }
                | Self::BanClear { .. }
                | Self::SecretsRotate
                | Self::KeyAdd { login: None, .. }
                | Self::KeyRemove { login: None, .. }
                | Self::Import { .. }
        )
    }

    /// Whether it only looks, so that doing it twice does no harm.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::TenantShow { .. }
                | Self::TenantList { .. }
                | Self::ExtensionShow { .. }
                | Self::ExtensionList { .. }
                | Self::DeviceList { .. }
                | Self::BindingList { .. }
                | Self::LockList { .. }
                | Self::AuditList { .. }
                | Self::AuditExport { .. }
                | Self::StationShow { .. }
                | Self::DeviceHistory { .. }
                | Self::StationList { .. }
                | Self::KeyList { .. }
                | Self::SecondShow { .. }
                | Self::PasswordSuggest { .. }
        )
    }
}

/// Which lines of the audit are asked for; without any, all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Narrow {
    /// Not before this.
    pub since: Option<Wall>,
    /// Not after this.
    pub until: Option<Wall>,
    /// By whom: what `by` must contain.
    pub by: Option<String>,
    /// The command or action, in full.
    pub action: Option<String>,
}

/// What a tenant may be set to; `None` leaves it as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TenantSettings {
    /// What it is called.
    pub name: Option<String>,
    /// The cap of devices per extension.
    pub max_devices: Option<u8>,
    /// Failures that lock an extension.
    pub max_failures: Option<u8>,
    /// Within how many seconds.
    pub window_s: Option<u32>,
    /// For how many seconds.
    pub duration_s: Option<u32>,
    /// The language that its people are written to in.
    pub language: Option<Language>,
    /// Its main number, with its country's code; empty for none.
    #[serde(default)]
    pub main_number: Option<String>,
    /// What passwords must be like: `alphanumeric` or `basic`. It counts for new ones.
    #[serde(default)]
    pub password_policy: Option<String>,
    /// Whether who has forgotten the password must answer the security question.
    #[serde(default)]
    pub question_required: Option<bool>,
    /// Whether a reset mails a random password.
    #[serde(default)]
    pub random_password_by_mail: Option<bool>,
    /// Whether two-step verification cannot be left off.
    #[serde(default)]
    pub two_step_required: Option<bool>,
    /// Whether its phones must sign in by SHA-256.
    #[serde(default)]
    pub require_sha256: Option<bool>,
    /// What stands before the subject of mails; empty for nothing.
    #[serde(default)]
    pub mail_prefix: Option<String>,
    /// Who sends mails; empty for the configuration's.
    #[serde(default)]
    pub mail_sender: Option<String>,
    /// Whether people are told of new devices.
    #[serde(default)]
    pub mail_new_device: Option<bool>,
    /// Whether people are told that they are locked out.
    #[serde(default)]
    pub mail_locked: Option<bool>,
}

/// Direct numbers that an extension gets and loses, as people write them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct NumberChanges {
    /// Those it gets.
    pub add: Vec<String>,
    /// Those it loses.
    pub remove: Vec<String>,
}

impl NumberChanges {
    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// Whether something that would go too is expected to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Refused if there is any.
    None,
    /// They go too.
    Any,
}

/// Where a new password comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewPassword {
    /// Somebody chose it.
    Given(Password),
    /// It is to be made, and shown once in the answer.
    Generate,
}

/// A secret text on its way through the admin socket, or to who asked for it: never shown by `Debug`, wiped when dropped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Password(Secret<String>);

impl Password {
    /// Takes the text in.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(Secret::new(text))
    }

    /// The text itself; the call marks each place that handles it bare.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Who asks, as the kernel says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// The user id of the process at the other end of the socket, or of this very process.
    pub uid: u32,
    /// Its process id, if it is another one.
    pub pid: Option<i32>,
}

/// As the audit has it: `uid 1000 pid 4711`, or `uid 1000 offline` where no server was running.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "uid {} pid {pid}", self.uid),
            None => write!(f, "uid {} offline", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_crosses_the_socket_and_shows_nowhere() {
        let login = LoginName::parse("200-acme").unwrap();
        let password = NewPassword::Given(Password::new("hunter2".into()));
        let request = Request::PasswordSet { login, password };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(line, r#"{"password_set":{"login":"200-acme","password":{"given":"hunter2"}}}"#);
        assert!(!format!("{request:?}").contains("hunter2"));
        let Ok(Request::PasswordSet { password: NewPassword::Given(password), .. }) =
            serde_json::from_str(&line)
        else {
            panic!("{line}");
        };
        assert_eq!(password.expose(), "hunter2");
    }

    #[test]
    fn a_name_without_its_form_does_not_get_in() {
        let line = r#"{"extension_show":{"login":"200-ACME"}}"#;
        assert!(serde_json::from_str::<Request>(line).is_err());
    }
}
