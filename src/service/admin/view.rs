//! What is answered: flat objects whose field names scripts rely on.

use super::request::Password;
use crate::account::{DirectNumber, LoginName};
use serde::{Deserialize, Serialize};

/// What came of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It is done: durable, and every shard acts by it.
    Done,
    /// The extension has this new password; it is shown this once.
    Generated {
        /// Whose.
        login: String,
        /// The password.
        password: String,
    },
    /// The app of an extension is enabled anew; its person is sent a mail that says where it is had.
    AppEnabled {
        /// Whose.
        login: String,
        /// The new password, if it was generated; it is shown this once.
        password: Option<String>,
        /// To which address the mail goes, if one does.
        email: Option<String>,
        /// Why none does.
        unmailed: Option<String>,
    },
    /// The person of an extension is sent an invitation.
    Invited {
        /// To which address.
        email: String,
        /// When its link ends.
        until: String,
    },
    /// The secrets in the store get this key, behind whatever else is done.
    Rotated {
        /// Its id.
        key: String,
    },
    /// The person of an extension is sent the link of a reset, or a random password if their tenant
    /// insists on that.
    Reset {
        /// To which address.
        email: String,
        /// When its link ends; none for a password.
        until: Option<String>,
    },
    /// A new access key, or a new secret of one; it is shown this once.
    Key {
        /// Its id.
        id: String,
        /// Its secret.
        secret: String,
    },
    /// So many extensions were imported.
    Imported {
        /// How many.
        extensions: u64,
        /// How many rows were skipped, since their extension exists.
        skipped: u64,
    },
    /// One tenant.
    Tenant(TenantView),
    /// One extension.
    Extension(ExtensionView),
    /// Its two-step verification.
    Second(SecondView),
    /// Tenants by code; more may follow the last one.
    Tenants {
        /// A page of them.
        rows: Vec<TenantView>,
        /// After which to ask again; none if there are no more.
        next: Option<String>,
    },
    /// Extensions by tenant and number; more may follow the last one.
    Extensions {
        /// A page of them.
        rows: Vec<ExtensionView>,
        /// After which to ask again; none if there are no more. It need not be the last row's: a search
        /// looks at so many extensions at a time.
        next: Option<String>,
    },
    /// One station.
    Station(StationView),
    /// Stations by tenant and ID; more may follow the last one.
    Stations {
        /// A page of them.
        rows: Vec<StationView>,
        /// After which to ask again; none if there are no more.
        next: Option<String>,
    },
    /// The devices of an extension.
    Devices(Vec<DeviceView>),
    /// What became of registrations, the newest last.
    History(Vec<HistoryView>),
    /// The bindings of an extension or a station.
    Bindings(Vec<BindingView>),
    /// Locks and bans.
    Locks(Vec<LockView>),
    /// Lines of the audit, the newest last.
    Audit(Vec<AuditView>),
    /// Lines of the audit, the oldest first.
    AuditPage {
        /// A page of them.
        rows: Vec<AuditView>,
        /// What the next page is behind, if more may follow.
        next: Option<String>,
    },
    /// Access keys, without their secrets.
    Keys(Vec<KeyView>),
    /// A password that would do, for whoever sets one; nothing has changed.
    Suggested {
        /// It.
        password: String,
    },
    /// What only its person asks, over HTTP.
    Personal(Personal),
}

/// What people are answered who look after themselves.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// The secret of an authenticator app that is being set up; it is shown this once.
    App {
        /// In base 32.
        secret: Password,
        /// As `otpauth:` URI.
        uri: Password,
    },
    /// A code goes to this address.
    Mailed(String),
    /// A code goes to this number by SMS.
    Texted(DirectNumber),
    /// Recovery codes, shown this once; none if those there were still are.
    Recovery(Vec<Password>),
    /// So many sessions were ended.
    Ended(usize),
    /// Whose link it was that was used.
    Whose(LoginName),
}

/// A flat object as a row of a table.
pub trait Row {
    /// The names of its fields.
    const COLUMNS: &'static [&'static str];
    /// Their values as people read them; nothing for what there is not.
    fn cells(&self) -> Vec<String>;
}

/// A value of a field.
trait Cell {
    fn cell(&self) -> String;
}

impl Cell for String {
    fn cell(&self) -> String {
        self.clone()
    }
}

impl Cell for u64 {
    fn cell(&self) -> String {
        self.to_string()
    }
}

impl Cell for bool {
    fn cell(&self) -> String {
        if *self { "yes" } else { "no" }.to_owned()
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(&self) -> String {
        self.as_ref().map(Cell::cell).unwrap_or_default()
    }
}

macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
        pub struct $name {
            $($(#[$about])* pub $field: $kind,)+
        }

        impl Row for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];
            fn cells(&self) -> Vec<String> {
                vec![$(Cell::cell(&self.$field)),+]
            }
        }
    };
}

view!(
    /// A tenant, with what counts for it now.
    TenantView {
        /// Its code.
        code: String,
        /// What it is called.
        name: String,
        /// `active` or `suspended`.
        state: String,
        /// The cap of devices per extension.
        max_devices: u64,
        /// Failures that lock an extension.
        max_failures: u64,
        /// Within how many seconds.
        window_s: u64,
        /// For how many seconds.
        duration_s: u64,
        /// The language that its people are written to in: `en` or `fr`.
        language: String,
        /// Its main number.
        main_number: Option<String>,
        /// What passwords must be like: `alphanumeric` or `basic`.
        password_policy: String,
        /// Whether who has forgotten the password must answer the security question.
        question_required: bool,
        /// Whether a reset mails a random password.
        random_password_by_mail: bool,
        /// Whether two-step verification cannot be left off.
        two_step_required: bool,
        /// Whether its phones must sign in by SHA-256.
        require_sha256: bool,
        /// What stands before the subject of mails.
        mail_prefix: String,
        /// Who sends mails, if not whom the configuration says.
        mail_sender: Option<String>,
        /// Whether people are told of new devices.
        mail_new_device: bool,
        /// Whether people are told that they are locked out.
        mail_locked: bool,
        /// The revision of its last edit.
        revision: u64,
    }
);

view!(
    /// An extension.
    ExtensionView {
        /// Its tenant's code.
        tenant: String,
        /// Its number.
        extension: String,
        /// Its login name.
        login: String,
        /// Its display name.
        name: String,
        /// Its e-mail.
        email: Option<String>,
        /// Its direct numbers, with a space between two.
        numbers: String,
        /// `user` or `admin`.
        role: String,
        /// `invite`, `pending`, `expired`, `active` or `disabled`; the last also while its tenant is suspended.
        state: String,
        /// When the link of its invitation ends, if it was not used.
        invited_until: Option<String>,
        /// `enabled` or `disabled`.
        app: String,
        /// Activated devices.
        devices: u64,
        /// Live bindings.
        bindings: u64,
        /// The station that its agent is logged in to: only that rings.
        station: Option<String>,
        /// Until when it is locked for new sign-ins.
        locked_until: Option<String>,
        /// The revision of its last edit; what phones do is none.
        revision: u64,
    }
);

view!(
    /// A station.
    StationView {
        /// Its tenant's code.
        tenant: String,
        /// Its ID.
        station: String,
        /// The name that its phone signs in with.
        login: String,
        /// What people call it.
        name: String,
        /// `registered` or `not_registered`.
        state: String,
        /// The number of the extension whose agent is logged in there.
        agent: Option<String>,
        /// Product and version of its phone, if one was ever there.
        model: Option<String>,
        /// Where its phone is.
        address: Option<String>,
        /// Until when it is locked for new sign-ins.
        locked_until: Option<String>,
        /// The revision of its last edit; what phones do is none.
        revision: u64,
    }
);

view!(
    /// How it stands with somebody's two-step verification.
    SecondView {
        /// Whose.
        login: String,
        /// `off`, `pending` (to be confirmed by a code) or `on`.
        state: String,
        /// Since when it is on.
        since: Option<String>,
        /// What may be shown at sign-in: `totp`, `mail`, `sms`, `recovery`.
        methods: String,
        /// Recovery codes that were not used.
        recovery_codes_left: u64,
        /// The last digits of the number that codes by SMS go to.
        mobile: Option<String>,
    }
);

view!(
    /// An activated device.
    DeviceView {
        /// Its id in the extension.
        id: String,
        /// What people call it.
        name: String,
        /// Product and version.
        model: String,
        /// `+sip.instance`.
        instance: Option<String>,
        /// First sign-in.
        first_seen: String,
        /// Latest sign of life.
        last_seen: String,
        /// Where from.
        address: String,
        /// How often it was seen to be several phones with one instance.
        clones: u64,
        /// Since when it comes and goes, if it does.
        flapping: Option<String>,
        /// When it last tried the password before the present one, if it was not given the present one since.
        previous_password: Option<String>,
    }
);

view!(
    /// Something that became of a registration.
    HistoryView {
        /// When; the first time, if it was often.
        at: String,
        /// The id of the device, if the phone was one.
        device: Option<String>,
        /// `registered`, `moved`, `expired`, `unregistered`, `removed`, `refused` or `previous_password`.
        event: String,
        /// Where its phone was.
        address: Option<String>,
        /// From where it moved, by whom it was removed, why it was refused, what it calls itself.
        detail: String,
        /// Of what was refused: what can be done about it.
        way_out: Option<String>,
        /// How often in a row.
        times: u64,
        /// The last time.
        last: String,
    }
);

view!(
    /// A live binding.
    BindingView {
        /// The Contact URI.
        contact: String,
        /// The id of its device.
        device: String,
        /// Transport and source address; ` (closed)` behind them if the connection is gone.
        flow: String,
        /// Seconds until it ends.
        expires_s: u64,
        /// `suspect` if its phone could not be reached of late; `live` otherwise.
        state: String,
        /// When its phone was last heard of, if it was since the start.
        heard: Option<String>,
    }
);

view!(
    /// A lock of an extension or a station, or a ban of a source.
    LockView {
        /// Its tenant; none for a ban.
        tenant: Option<String>,
        /// The extension's number, or the station's ID; none for a ban.
        extension: Option<String>,
        /// What was tried: `sip`, `portal` or `pin`; of a ban `source`.
        scope: String,
        /// Since when, if known.
        since: Option<String>,
        /// Until when.
        until: String,
        /// Where the failure came from that began it.
        source: String,
        /// What the phone or browser called itself (User-Agent); none for a ban.
        device: Option<String>,
    }
);

view!(
    /// An access key.
    KeyView {
        /// Its id.
        id: String,
        /// What its owner calls it.
        name: String,
        /// Whose it is; none for an operator's.
        login: Option<String>,
        /// When it was made, or its secret last.
        made: String,
    }
);

view!(
    /// A line of the audit.
    AuditView {
        /// When.
        at: String,
        /// Who: a command's user and process (`uid 0 pid 4711`, or `uid 0 offline` where no server ran);
        /// over HTTP `operator by key ID from ADDRESS`, and of a person `200-acme by key ID from ADDRESS` or
        /// `200-acme by session ID from ADDRESS`; by the phone menu `200-acme by phone station desk1 from ADDRESS`
        /// or `… by phone device 2 from ADDRESS`; whoever has a link that was mailed, `link ADDRESS`; whoever has
        /// shown nothing, as when a password is forgotten, `anybody ADDRESS`. What phones and browsers caused:
        /// `phone`, or of a lock what was tried, `sip`, `portal` or `pin`.
        by: String,
        /// The command, or `activated`, `adopted`, `cloned`, `flapping`, `locked`, `banned`.
        action: String,
        /// The tenant it is about, or whose extension.
        tenant: Option<String>,
        /// The number of the extension it is about, or the ID of the station.
        extension: Option<String>,
        /// The address it came from, or the source that a ban is about; none for commands on the machine.
        source: Option<String>,
        /// What differed before.
        before: String,
        /// What differs since.
        after: String,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that scripts rely on.
    #[test]
    fn field_names() {
        assert_eq!(
            DeviceView::COLUMNS,
            [
                "id",
                "name",
                "model",
                "instance",
                "first_seen",
                "last_seen",
                "address",
                "clones",
                "flapping",
                "previous_password"
            ]
        );
        let history = ["at", "device", "event", "address", "detail", "way_out", "times", "last"];
        assert_eq!(HistoryView::COLUMNS, history);
        assert_eq!(BindingView::COLUMNS, ["contact", "device", "flow", "expires_s", "state", "heard"]);
        let audit = ["at", "by", "action", "tenant", "extension", "source", "before", "after"];
        assert_eq!(AuditView::COLUMNS, audit);
        assert_eq!(LockView::COLUMNS, ["tenant", "extension", "scope", "since", "until", "source", "device"]);
    }
}
