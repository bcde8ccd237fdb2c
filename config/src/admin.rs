//! The room of the administrator: how the admin API and the admin pages are entered.

use crate::secret::Secret;
use crate::table::{Kind, room};

room! {
    /// How the admin API and the admin pages are entered.
    Admin in "admin" {
        /// Bearer token of `/admin/api/…`. Not set: the admin API answers nobody. Production needs one.
        token: Option<Secret> = "ADMIN_TOKEN", Kind::Secret { allowed: "a text without spaces", check: is_token };
        /// Name at the login of the admin pages. Read by the login.
        username: String = "ADMIN_USERNAME", Kind::Text { allowed: "a name", check: |text| !text.is_empty() };
        /// Password at the login of the admin pages. Not set: nobody can log in. Production needs one. Read by the
        /// login.
        password: Option<Secret> = "ADMIN_PASSWORD", Kind::Secret { allowed: "a text", check: |_| true };
    }
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}
