//! What mails about accounts say. A link's token stands behind `#`, which browsers send to nobody: no log has it.

/// A subject, what is said, and where a link leads.
pub struct Letter {
    /// One line.
    pub subject: &'static str,
    /// What is said, before the link and after it.
    pub paragraphs: [&'static str; 2],
    /// The link.
    pub link: String,
}

/// Has its reader show that he reads the mails of this address.
pub fn verification(public_url: &str, token: &str) -> Letter {
    Letter {
        subject: "Please confirm your address",
        paragraphs: [
            "Somebody, you we hope, uses this address for an account of Docket. This link confirms that it is yours.",
            "The link is good for a week. If it was not you, do nothing.",
        ],
        link: format!("{public_url}/verify#{token}"),
    }
}

/// Has its reader set a password anew.
pub fn reset(public_url: &str, token: &str) -> Letter {
    Letter {
        subject: "Set a new password",
        paragraphs: [
            "Somebody, you we hope, wants a new password for your account of Docket. This link sets it.",
            "The link is good for an hour, and once. If it was not you, do nothing: your password stays as it is.",
        ],
        link: format!("{public_url}/reset#{token}"),
    }
}
