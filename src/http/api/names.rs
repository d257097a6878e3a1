//! What stands in the path: tenants, extensions, devices, keys. What has not the form of a name is the
//! name of nothing (404).

use crate::account::{KeyId, LoginName, Number, StationId, TenantCode};
use crate::http::problem::Problem;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::net::IpAddr;
use std::str::FromStr;
use utoipa::IntoParams;

/// `/tenants/{tenant}`.
pub(in crate::http) struct OfTenant(pub(in crate::http) TenantCode);

/// `/tenants/{tenant}/extensions/{number}`.
pub(in crate::http) struct OfExtension(pub(in crate::http) LoginName);

/// `/tenants/{tenant}/extensions/{number}/devices/{device}`.
pub(in crate::http) struct OfDevice(pub(in crate::http) LoginName, pub(in crate::http) u32);

/// `/tenants/{tenant}/stations/{station}`.
pub(in crate::http) struct OfStation(pub(in crate::http) LoginName);

/// `…/keys/{key}`, of an extension or not.
pub(in crate::http) struct OfKey(pub(in crate::http) Option<LoginName>, pub(in crate::http) KeyId);

/// `/bans/{source}`.
pub(in crate::http) struct OfSource(pub(in crate::http) IpAddr);

/// How they are described.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct TenantPath {
    /// The tenant's code
    #[param(pattern = "^[a-z0-9]{2,32}$", min_length = 2, max_length = 32)]
    tenant: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct ExtensionPath {
    /// The tenant's code
    #[param(pattern = "^[a-z0-9]{2,32}$", min_length = 2, max_length = 32)]
    tenant: String,
    /// The extension's number
    #[param(pattern = "^[0-9]{2,8}$", min_length = 2, max_length = 8)]
    number: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct StationPath {
    /// The tenant's code
    #[param(pattern = "^[a-z0-9]{2,32}$", min_length = 2, max_length = 32)]
    tenant: String,
    /// The station's ID
    #[param(pattern = "^[a-z][a-z0-9]{1,15}$", min_length = 2, max_length = 16)]
    station: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct DevicePath {
    /// The device's id in its extension
    #[param(pattern = "^[0-9]{1,9}$", min_length = 1, max_length = 9)]
    device: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct KeyPath {
    /// The key's id
    #[param(pattern = "^[0-9a-f]{20}$", min_length = 20, max_length = 20)]
    key: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code)]
pub(in crate::http) struct SourcePath {
    /// The address, of IPv4 or IPv6
    #[param(pattern = "^[0-9a-fA-F:.]{2,45}$", min_length = 2, max_length = 45)]
    source: String,
}

/// The names in a path.
struct Names(RawPathParams);

impl Names {
    async fn of(parts: &mut Parts) -> Result<Self, Problem> {
        RawPathParams::from_request_parts(parts, &()).await.map(Self).map_err(|_| nothing())
    }

    fn get<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, text)| text.parse().ok()).ok_or_else(nothing)
    }

    fn login(&self) -> Result<LoginName, Problem> {
        let (code, number): (TenantCode, Number) = (self.get("tenant")?, self.get("number")?);
        Ok(LoginName::of(&number, &code))
    }
}

fn nothing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing of this name")
}

macro_rules! named {
    ($kind:ident, |$names:ident| $read:expr) => {
        impl<S: Send + Sync> FromRequestParts<S> for $kind {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                let $names = Names::of(parts).await?;
                $read
            }
        }
    };
}

named!(OfTenant, |names| names.get("tenant").map(Self));
named!(OfExtension, |names| names.login().map(Self));
named!(OfDevice, |names| Ok(Self(names.login()?, names.get("device")?)));
named!(OfStation, |names| {
    let (code, id): (TenantCode, StationId) = (names.get("tenant")?, names.get("station")?);
    Ok(Self(LoginName::of_station(&id, &code)))
});
named!(OfSource, |names| names.get("source").map(Self));
named!(OfKey, |names| {
    let text: String = names.get("key")?;
    let login = names.0.iter().any(|(known, _)| known == "tenant").then(|| names.login());
    Ok(Self(login.transpose()?, KeyId::parse(&text).map_err(|_| nothing())?))
});
