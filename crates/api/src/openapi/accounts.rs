//! The operations of `accounts`.

use docket_domain::account::profile::ProfileInput;
use serde_json::{Value, json};

use super::{Answer, Content, JSON, Operation, Parameter, answer, boolean, of, query};
use crate::auth::{
    Access, EmailChange, Farewell, NewToken, PasswordChange, Reset, ResetRequest, SessionList,
    SignIn, SignUp, SignedIn, TokenList, TokenMade, User, Verification,
};
use crate::problem::Code;

const SET_COOKIE: &[&str] = &["Set-Cookie"];
const USER: Answer = answer(200, "The account.", &[], &[(JSON, of::<User<'static>>)]);
const SIGNED_IN: Content = &[(JSON, of::<SignedIn<'static>>)];
const ENDED: Answer = answer(204, "Done.", &[], &[]);
const ON_ITS_WAY: Answer = answer(202, "It is on its way.", &[], &[]);
/// A body of somebody who is signed in.
const OWN_BODY: &[Code] = &[
    Code::Forbidden,
    Code::NotFound,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
];
/// A body that is counted.
const COUNTED_BODY: &[Code] = &[
    Code::Forbidden,
    Code::NotFound,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
    Code::TooManyRequests,
];
/// A counted body of anybody.
const OPEN_BODY: &[Code] = &[
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
    Code::TooManyRequests,
];
const OWN: &[Code] = &[Code::Forbidden, Code::NotFound];
const SESSION: &[Parameter] = &[of_path("The session's id.")];
const TOKEN: &[Parameter] = &[of_path("The token's id.")];

const fn of_path(says: &'static str) -> Parameter {
    Parameter {
        place: "path",
        ..query("id", |_| json!({ "type": "string" }), says)
    }
}

/// What shows who asks, where that is not an access token.
pub(super) fn security(id: &str) -> Option<Value> {
    match id {
        "refreshSession" => Some(json!([{ "refresh": [] }])),
        // Who has no cookie is signed out already.
        "signOut" => Some(json!([{ "refresh": [] }, {}])),
        "signUp" | "signIn" | "verifyAddress" | "requestReset" | "resetPassword" => Some(json!([])),
        _ => None,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        method: "post",
        path: "/api/auth/signup",
        id: "signUp",
        tag: "accounts",
        says: "A new account. A mail goes to its address, with a link that shows that its owner has got it.",
        parameters: &[],
        request: &[(JSON, of::<SignUp>)],
        answer: answer(201, "The account, signed in.", SET_COOKIE, SIGNED_IN),
        problems: &[
            Code::Conflict,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Invalid,
            Code::TooManyRequests,
        ],
    },
    Operation {
        method: "post",
        path: "/api/auth/login",
        id: "signIn",
        tag: "accounts",
        says: "Signs in. An unknown address and a wrong password are answered alike, after the same time. Strangers may give an account ten passwords a minute and a hundred wrong ones in a row a day, and so may each device on which its owner has signed in, which a second cookie tells.",
        parameters: &[],
        request: &[(JSON, of::<SignIn>)],
        answer: answer(200, "The account, signed in.", SET_COOKIE, SIGNED_IN),
        problems: OPEN_BODY,
    },
    Operation {
        method: "post",
        path: "/api/auth/refresh",
        id: "refreshSession",
        tag: "accounts",
        says: "The next access token, for the cookie's refresh token. That is good for one use: the cookie is set anew, and a later use of the old one ends the session.",
        parameters: &[],
        request: &[],
        answer: answer(200, "The token.", SET_COOKIE, &[(JSON, of::<Access>)]),
        problems: &[Code::Forbidden, Code::TooManyRequests],
    },
    Operation {
        method: "post",
        path: "/api/auth/logout",
        id: "signOut",
        tag: "accounts",
        says: "Ends the cookie's session, if there is one. An access token ends by itself, within ten minutes.",
        parameters: &[],
        request: &[],
        answer: answer(204, "It has ended.", SET_COOKIE, &[]),
        problems: &[Code::Forbidden],
    },
    Operation {
        method: "get",
        path: "/api/auth/me",
        id: "readAccount",
        tag: "accounts",
        says: "The account of who asks.",
        parameters: &[],
        request: &[],
        answer: USER,
        problems: OWN,
    },
    Operation {
        method: "patch",
        path: "/api/auth/me",
        id: "changeAccount",
        tag: "accounts",
        says: "Changes what its owner says of himself, by a JSON merge patch (RFC 7396).",
        parameters: &[],
        request: &[
            (JSON, of::<ProfileInput>),
            ("application/merge-patch+json", of::<ProfileInput>),
        ],
        answer: USER,
        problems: OWN_BODY,
    },
    Operation {
        method: "delete",
        path: "/api/auth/me",
        id: "deleteAccount",
        tag: "accounts",
        says: "Deletes the account, and all that is kept for it; of what happened the audit log keeps hashes. An account without a password needs no body.",
        parameters: &[],
        request: &[(JSON, of::<Farewell>)],
        answer: answer(204, "It is gone.", &[], &[]),
        problems: COUNTED_BODY,
    },
    Operation {
        method: "post",
        path: "/api/auth/password",
        id: "changePassword",
        tag: "accounts",
        says: "Sets another password. All other sessions end.",
        parameters: &[],
        request: &[(JSON, of::<PasswordChange>)],
        answer: ENDED,
        problems: COUNTED_BODY,
    },
    Operation {
        method: "post",
        path: "/api/auth/email",
        id: "changeAddress",
        tag: "accounts",
        says: "Sends a mail to another address, with a link that makes it the account's. The answer tells nobody whether it belongs to an account. Sessions stay.",
        parameters: &[],
        request: &[(JSON, of::<EmailChange>)],
        answer: answer(202, "It is on its way, if the address is free.", &[], &[]),
        problems: COUNTED_BODY,
    },
    Operation {
        method: "get",
        path: "/api/auth/sessions",
        id: "listSessions",
        tag: "accounts",
        says: "Where the account is signed in.",
        parameters: &[],
        request: &[],
        answer: answer(200, "The sessions.", &[], &[(JSON, of::<SessionList>)]),
        problems: OWN,
    },
    Operation {
        method: "delete",
        path: "/api/auth/sessions",
        id: "endSessions",
        tag: "accounts",
        says: "Ends all sessions.",
        parameters: &[query("others", boolean, "All but the one that asks.")],
        request: &[],
        answer: ENDED,
        problems: &[Code::Forbidden, Code::NotFound, Code::Invalid],
    },
    Operation {
        method: "delete",
        path: "/api/auth/sessions/{id}",
        id: "endSession",
        tag: "accounts",
        says: "Ends a session. Its access tokens end by themselves, within ten minutes.",
        parameters: SESSION,
        request: &[],
        answer: ENDED,
        problems: OWN,
    },
    Operation {
        method: "get",
        path: "/api/auth/tokens",
        id: "listTokens",
        tag: "accounts",
        says: "The agent tokens: what programs may do for the account.",
        parameters: &[],
        request: &[],
        answer: answer(200, "The tokens.", &[], &[(JSON, of::<TokenList<'static>>)]),
        problems: OWN,
    },
    Operation {
        method: "post",
        path: "/api/auth/tokens",
        id: "makeToken",
        tag: "accounts",
        says: "A new agent token. Its secret is told this once. What is done with it names it as its doer.",
        parameters: &[],
        request: &[(JSON, of::<NewToken>)],
        answer: answer(201, "The token.", &[], &[(JSON, of::<TokenMade<'static>>)]),
        problems: &[
            Code::Forbidden,
            Code::NotFound,
            Code::Conflict,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Invalid,
        ],
    },
    Operation {
        method: "delete",
        path: "/api/auth/tokens/{id}",
        id: "revokeToken",
        tag: "accounts",
        says: "Revokes an agent token. It may count for some seconds more where it was just used.",
        parameters: TOKEN,
        request: &[],
        answer: ENDED,
        problems: OWN,
    },
    Operation {
        method: "post",
        path: "/api/auth/verify",
        id: "verifyAddress",
        tag: "accounts",
        says: "Takes in that the owner has got the mail with this token: the address is verified, or, if he wanted to change it, is the account's from now on.",
        parameters: &[],
        request: &[(JSON, of::<Verification>)],
        answer: ENDED,
        problems: OPEN_BODY,
    },
    Operation {
        method: "post",
        path: "/api/auth/verify/request",
        id: "requestVerification",
        tag: "accounts",
        says: "Sends the mail again that shows that the address is the owner's, unless it was shown.",
        parameters: &[],
        request: &[],
        answer: ON_ITS_WAY,
        problems: &[
            Code::Forbidden,
            Code::NotFound,
            Code::Invalid,
            Code::TooManyRequests,
        ],
    },
    Operation {
        method: "post",
        path: "/api/auth/reset/request",
        id: "requestReset",
        tag: "accounts",
        says: "Sends a mail with which the password is set anew, if there is an account of this address. The answer tells nobody whether there is.",
        parameters: &[],
        request: &[(JSON, of::<ResetRequest>)],
        answer: answer(202, "It is on its way, if it is.", &[], &[]),
        problems: OPEN_BODY,
    },
    Operation {
        method: "post",
        path: "/api/auth/reset",
        id: "resetPassword",
        tag: "accounts",
        says: "Sets the password anew, by the token of a mail. All sessions end. A cookie has the device known as one of the owner's, as at every sign-in: wrong passwords that others give do not keep it out.",
        parameters: &[],
        request: &[(JSON, of::<Reset>)],
        answer: answer(204, "Done.", SET_COOKIE, &[]),
        problems: OPEN_BODY,
    },
];
