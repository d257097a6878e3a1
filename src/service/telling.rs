//! What people are told by mail of what happens to their extension without them: a new device, a lock.
//!
//! Strangers can cause both, so they are bounded for each extension and hour ([`Matter`]), and a tenant may
//! do without. The mail is owed in the record of what it tells, in the same compare-and-set.

use super::mailing::withheld;
use crate::account::{MailKind, Matter, Tenant};
use crate::base::time::Wall;
use crate::directory::ExtensionRecord;
use crate::lockout::Lock;
use std::net::IpAddr;

/// Longest name of a phone in a mail, in characters: it is what the phone says.
const MODEL_CHARS_MAX: usize = 64;

/// Owes the mail that a device was activated.
pub fn new_device(
    record: &mut ExtensionRecord,
    tenant: Option<&Tenant>,
    at: Wall,
    model: &str,
    from: IpAddr,
) {
    let wanted = tenant.is_some_and(|tenant| tenant.policies.mails.new_device);
    let model: String = model.chars().filter(|char| !char.is_control()).take(MODEL_CHARS_MAX).collect();
    let model = if model.trim().is_empty() { "?".to_owned() } else { model };
    owe(record, wanted, Matter::NewDevice, at, MailKind::NewDevice { model, address: from.to_string() });
}

/// Owes the mail that an extension is locked for new sign-ins.
pub fn locked(record: &mut ExtensionRecord, tenant: Option<&Tenant>, lock: &Lock) {
    let wanted = tenant.is_some_and(|tenant| tenant.policies.mails.locked);
    let kind = MailKind::Locked { until: lock.until, source: lock.source.to_string() };
    owe(record, wanted, Matter::Locked, lock.since, kind);
}

fn owe(record: &mut ExtensionRecord, wanted: bool, matter: Matter, at: Wall, kind: MailKind) {
    let Some(email) = record.email.clone().filter(|_| wanted) else { return };
    if record.told.may(matter, at) {
        record.mails.owe(at, email, kind);
    } else {
        withheld();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{LoginName, TenantCode};
    use crate::base::limit;
    use crate::lockout::Scope;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use std::time::Duration;

    const NOW: Wall = Wall::from_secs(1_000_000);
    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

    fn record(email: Option<&str>) -> ExtensionRecord {
        let email = email.map(str::to_owned);
        ExtensionRecord::new(LoginName::parse("201-acme").unwrap(), "Ada".into(), email)
    }

    fn tenant(told: bool) -> Tenant {
        let mut tenant = Tenant::new(TenantCode::parse("acme").unwrap(), "Acme");
        (tenant.policies.mails.new_device, tenant.policies.mails.locked) = (told, told);
        tenant
    }

    fn lock(since: Wall) -> Lock {
        let until = since + Duration::from_secs(900);
        Lock { since, until, source: FROM, scope: Scope::Sip, device: "x".into() }
    }

    #[test]
    fn each_is_told_unless_the_tenant_does_without_or_there_is_no_address() {
        for (email, told, owed) in [(Some("a@x"), true, 2), (Some("a@x"), false, 0), (None, true, 0)] {
            let (mut record, tenant) = (record(email), tenant(told));
            new_device(&mut record, Some(&tenant), NOW, "Snom D785/10.1", FROM);
            locked(&mut record, Some(&tenant), &lock(NOW));
            assert_eq!(record.mails.waiting().len(), owed, "{email:?} {told}");
            new_device(&mut record, None, NOW, "Snom", FROM);
            assert_eq!(record.mails.waiting().len(), owed, "a tenant that there is not");
        }
    }

    #[test]
    fn what_a_phone_says_of_itself_is_cut_and_tamed() {
        let mut record = record(Some("a@x"));
        new_device(&mut record, Some(&tenant(true)), NOW, &format!("a\r\nb{}", "x".repeat(99)), FROM);
        new_device(&mut record, Some(&tenant(true)), NOW, "\u{7}", FROM);
        let models = record.mails.waiting().iter().map(|mail| match &mail.kind {
            MailKind::NewDevice { model, address } => (model.len(), model.get(..2), address.as_str()),
            other => panic!("{other:?}"),
        });
        assert_eq!(models.collect::<Vec<_>>(), [(64, Some("ab"), "192.0.2.66"), (1, None, "192.0.2.66")]);
    }

    #[test]
    fn an_attacker_floods_no_mailbox() {
        let (mut record, tenant) = (record(Some("a@x")), tenant(true));
        // A lock every quarter of an hour, for a day, each mail sent at once.
        let recorder = PrometheusBuilder::new().build_recorder();
        let mut sent = 0;
        for quarter in 0..96 {
            let lock = lock(NOW + Duration::from_secs(quarter * 900));
            metrics::with_local_recorder(&recorder, || locked(&mut record, Some(&tenant), &lock));
            while let Some(number) = record.mails.waiting().first().map(|mail| mail.number) {
                record.mails.settle(number);
                sent += 1;
            }
        }
        assert_eq!(sent, 24 * limit::LOCKED_MAILS_PER_HOUR);
        let withheld = format!("stationmaster_mails_total{{outcome=\"withheld\"}} {}\n", 96 - sent);
        let page = recorder.handle().render();
        assert!(page.contains(&withheld), "{page}");
        // And with nobody who takes them away.
        for quarter in 96..192 {
            locked(&mut record, Some(&tenant), &lock(NOW + Duration::from_secs(quarter * 900)));
            new_device(&mut record, Some(&tenant), NOW + Duration::from_secs(quarter * 900), "x", FROM);
        }
        assert_eq!(record.mails.waiting().len(), 1 + limit::MAILS_OF_A_KIND_MAX);
    }
}
