//! What mails about accounts say. A link's token stands behind `#`, which browsers send to nobody: no log has it.

/// A subject, what is said, and where a link leads.
pub struct Letter {
    /// One line.
    pub subject: &'static str,
    /// What is said, before the link and after it.
    pub paragraphs: [&'static str; 2],
    /// The link, if there is one.
    pub link: Option<String>,
}

/// Has its reader show that he reads the mails of this address.
pub fn verification(public_url: &str, token: &str) -> Letter {
    Letter {
        subject: "Please confirm your address",
        paragraphs: [
            "Somebody, you we hope, uses this address for an account of Docket. This link confirms that it is yours.",
            "The link is good for a week. If it was not you, do nothing.",
        ],
        link: Some(format!("{public_url}/verify#{token}")),
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
        link: Some(format!("{public_url}/reset#{token}")),
    }
}

/// Has its reader show that he reads the mails of the address that his account is to have.
pub fn change_of_address(public_url: &str, token: &str) -> Letter {
    Letter {
        subject: "Please confirm your new address",
        paragraphs: [
            "Somebody, you we hope, wants this address for an account of Docket in place of the one that it has. This link does that.",
            "The link is good for a day. If it was not you, do nothing.",
        ],
        link: Some(format!("{public_url}/verify#{token}")),
    }
}

/// Tells the reader of the present address that another one is to take its place.
pub fn notice_of_change() -> Letter {
    Letter {
        subject: "Your account is to have another address",
        paragraphs: [
            "Somebody who knows your password wants your account of Docket to have another address, and has been sent a link there.",
            "If it was not you, set a new password today: the link does not count any more then.",
        ],
        link: None,
    }
}
