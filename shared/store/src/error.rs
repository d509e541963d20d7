//! What can go wrong in the store, sorted by what the caller can do about it.

/// A store failure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such row in this organisation.
    #[error("not found")]
    NotFound,
    /// A row with that key exists already.
    #[error("{0} exists already")]
    Conflict(&'static str),
    /// The row was changed since the caller read it.
    #[error("changed by somebody else meanwhile")]
    Stale,
    /// A limit of the organisation's plan is reached.
    #[error("limit of {limit} {what} reached")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: i64,
    },
    /// The limit of monitors is reached that holds until an owner has confirmed their email address.
    #[error("limit of {limit} monitors without a confirmed owner reached")]
    Unconfirmed {
        /// The limit.
        limit: i64,
    },
    /// A stored value does not parse as its type: a bug or a hand-edited row.
    #[error("stored value is not valid: {0}")]
    Corrupt(String),
    /// The database could not be asked; worth a retry.
    #[error("the database did not answer")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl StoreError {
    /// True when the rows are at fault and not the way to them: asking again will not help. SQLSTATE classes 22 (data) and 23 (integrity).
    pub fn is_about_data(&self) -> bool {
        match self {
            Self::Corrupt(_) => true,
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
            _ => false,
        }
    }

    /// True when another transaction was in the way (SQLSTATE 40001 and 40P01): the same once more may well succeed.
    pub fn is_collision(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code == "40001" || code == "40P01"),
            _ => false,
        }
    }

    /// True when a unique constraint of that name was hit.
    pub fn is_unique_violation(error: &sqlx::Error, constraint: &str) -> bool {
        error.as_database_error().is_some_and(|db| db.is_unique_violation() && db.constraint() == Some(constraint))
    }
}
