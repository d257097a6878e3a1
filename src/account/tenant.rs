//! Tenants.

use super::TenantCode;

/// A tenant.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Tenant {
    /// Code.
    pub code: TenantCode,
    /// Active.
    pub active: bool,
    /// Devices.
    pub max_devices: Option<u16>,
}
