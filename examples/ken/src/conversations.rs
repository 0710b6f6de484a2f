//! What was said before: in Postgres, or in memory where there is none.

use std::collections::HashMap;
use std::sync::Mutex;

use anyhow::Context;
use tokio_postgres::{Client, NoTls};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// The conversations.
#[derive(Debug)]
pub enum Conversations {
    /// In a table of their own.
    Postgres(Client),
    /// Until the end of the process.
    Memory(Mutex<HashMap<String, Vec<Message>>>),
}

impl Conversations {
    /// Connects, and makes the table when it is not there.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(url: Option<&str>) -> anyhow::Result<Self> {
        let Some(url) = url else { return Ok(Self::Memory(Mutex::default())) };
        // The URL holds a password: it stays out of the error.
        let (client, connection) =
            tokio_postgres::connect(url, NoTls).await.context("connecting to DATABASE_URL")?;
        tokio::spawn(connection);
        client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS messages (id bigserial PRIMARY KEY, conversation text NOT NULL,
                 role text NOT NULL, content text NOT NULL)",
            )
            .await?;
        Ok(Self::Postgres(client))
    }

    /// What was said, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read(&self, conversation: &str) -> anyhow::Result<Vec<Message>> {
        match self {
            Self::Postgres(client) => {
                let rows = client
                    .query(
                        "SELECT role, content FROM messages WHERE conversation = $1 ORDER BY id",
                        &[&conversation],
                    )
                    .await?;
                Ok(rows.iter().map(|row| Message { role: row.get(0), content: row.get(1) }).collect())
            }
            Self::Memory(all) => {
                let all =
                    all.lock().map_err(|_poisoned| anyhow::anyhow!("the memory of conversations is lost"))?;
                Ok(all.get(conversation).cloned().unwrap_or_default())
            }
        }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add(&self, conversation: &str, message: Message) -> anyhow::Result<()> {
        match self {
            Self::Postgres(client) => {
                client
                    .execute(
                        "INSERT INTO messages (conversation, role, content) VALUES ($1, $2, $3)",
                        &[&conversation, &message.role, &message.content],
                    )
                    .await?;
            }
            Self::Memory(all) => {
                let mut all =
                    all.lock().map_err(|_poisoned| anyhow::anyhow!("the memory of conversations is lost"))?;
                all.entry(conversation.to_owned()).or_default().push(message);
            }
        }
        Ok(())
    }
}
