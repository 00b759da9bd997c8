//! A mail server on loopback, which takes, refuses or keeps waiting as a test says.

use anyhow::{Context as _, Result};
use mail_parser::MessageParser;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the server does with mails.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mood {
    /// It takes them.
    #[default]
    Takes,
    /// It asks the client to come again later (451).
    Refuses,
    /// It does not answer, until it is in another mood.
    Hangs,
}

/// A mail that was taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Letter {
    /// The recipients that the client named to the server.
    pub recipients: Vec<String>,
    /// Those that stand in the mail.
    pub to: Vec<String>,
    /// Who sent it, as it stands in the mail.
    pub from: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The body's HTML, decoded.
    pub html: String,
    /// The names of all headers.
    pub headers: Vec<String>,
}

/// The server: as much of SMTP (RFC 5321) as a client needs that hands in mails. It ends when it is dropped.
pub struct MailServer {
    address: SocketAddr,
    desk: Arc<Desk>,
    listening: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    mood: watch::Sender<Mood>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    letters: Vec<Letter>,
    tries: usize,
    at_once: usize,
    most_at_once: usize,
}

impl MailServer {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("a port for the mail server")?;
        let address = listener.local_addr()?;
        let desk: Arc<Desk> = Arc::default();
        let at_it = Arc::clone(&desk);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&at_it);
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &desk).await {
                        eprintln!("[mail] a client left: {error}");
                    }
                });
            }
        });
        Ok(Self {
            address,
            desk,
            listening,
        })
    }

    /// Where it is, as `cargo docket up --smtp` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// From now on it does this.
    pub fn set_mood(&self, mood: Mood) {
        self.desk.mood.send_replace(mood);
    }

    /// What was taken, in the order in which it was.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        self.desk.seen().letters.clone()
    }

    /// What was taken for one recipient.
    #[must_use]
    pub fn letters_to(&self, recipient: &str) -> Vec<Letter> {
        let mut letters = self.letters();
        letters.retain(|letter| letter.recipients == [recipient]);
        letters
    }

    /// How often a client began to hand in a mail.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.desk.seen().tries
    }

    /// How many clients have been there at the same time.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.desk.seen().most_at_once
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Desk {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is there.
struct Present<'a>(&'a Desk);

impl<'a> Present<'a> {
    fn new(desk: &'a Desk) -> Self {
        let mut seen = desk.seen();
        seen.at_once += 1;
        seen.most_at_once = seen.most_at_once.max(seen.at_once);
        Self(desk)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.seen().at_once -= 1;
    }
}

async fn converse(stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    let _present = Present::new(desk);
    let mut stream = BufReader::new(stream);
    let mut recipients = Vec::new();
    stream.write_all(b"220 a test\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let verb: String = command.chars().take(4).collect();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "MAIL" => {
                desk.seen().tries += 1;
                let mut mood = desk.mood.subscribe();
                let settled = mood.wait_for(|mood| *mood != Mood::Hangs).await;
                match settled.as_deref() {
                    Ok(Mood::Refuses) => "451 come again later",
                    _ => "250 go on",
                }
            }
            "RCPT" => {
                let address = command.split(['<', '>']).nth(1).unwrap_or_default();
                recipients.push(address.to_owned());
                "250 go on"
            }
            "DATA" => {
                stream.write_all(b"354 to a line with a dot\r\n").await?;
                let data = message(&mut stream).await?;
                let letter = read(&data, std::mem::take(&mut recipients));
                desk.seen().letters.push(letter);
                "250 taken"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// Reads a message to the line with a dot; a line that begins with one has another before it.
async fn message(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_prefix(b".") {
            Some(b"\r\n") => return Ok(data),
            Some(stuffed) => data.extend_from_slice(stuffed),
            None => data.extend_from_slice(&line),
        }
    }
}

fn read(data: &[u8], recipients: Vec<String>) -> Letter {
    let Some(message) = MessageParser::default().parse(data) else {
        return Letter {
            recipients,
            ..Letter::default()
        };
    };
    let addresses = |list: Option<&mail_parser::Address<'_>>| {
        let addresses = list.into_iter().flat_map(mail_parser::Address::iter);
        let plain = addresses.filter_map(|one| one.address());
        plain.map(str::to_owned).collect()
    };
    Letter {
        to: addresses(message.to()),
        from: addresses(message.from()),
        subject: message.subject().unwrap_or_default().to_owned(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        headers: message
            .headers()
            .iter()
            .map(|header| header.name().to_owned())
            .collect(),
        recipients,
    }
}
