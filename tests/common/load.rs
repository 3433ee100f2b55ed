//! Clients that commit without pause and remember every commit that the server acknowledged.

use chrono::{DateTime, Utc};
use postgres::{Client, NoTls};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A commit as the client saw it.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Which row.
    pub id: i64,
    /// When the acknowledgement arrived.
    pub at: DateTime<Utc>,
}

/// One connection.
pub trait Session {
    /// One transaction that is over when the server has acknowledged it.
    ///
    /// # Errors
    /// When it was not acknowledged.
    fn commit(&mut self, id: i64, row: i32) -> Result<(), Box<dyn Error>>;
}

/// How clients talk to one engine.
pub trait Clients: Send + Sync {
    /// Makes the tables.
    fn make_tables(&self);

    /// Opens a connection.
    ///
    /// # Errors
    /// While nobody serves.
    fn connect(&self) -> Result<Box<dyn Session>, Box<dyn Error>>;

    /// Which of the acknowledged commits the database lacks.
    fn missing(&self, acknowledged: &[Acknowledged]) -> Vec<i64>;
}

/// Running clients; stopped on drop.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Makes the tables of a PostgreSQL and starts `clients` clients, which reconnect whenever they lose the server.
    pub fn start(connection: &str, clients: i64) -> Self {
        Self::of(&(Arc::new(Postgres(connection.to_owned())) as _), clients)
    }

    /// The same for any engine.
    pub fn of(engine: &Arc<dyn Clients>, clients: i64) -> Self {
        engine.make_tables();
        let (stop, acknowledged) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Mutex::new(Vec::new())),
        );
        let spawn = |client: i64| {
            let (engine, stop, acknowledged) = (
                Arc::clone(engine),
                Arc::clone(&stop),
                Arc::clone(&acknowledged),
            );
            thread::spawn(move || commit_until(&stop, engine.as_ref(), client, &acknowledged))
        };
        let threads = (0..clients).map(spawn).collect();
        Self {
            stop,
            acknowledged,
            threads,
        }
    }

    /// How many commits were acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().expect("no client panicked").len()
    }

    /// Ends the clients and returns every acknowledged commit in order of acknowledgement.
    pub fn finish(mut self) -> Vec<Acknowledged> {
        self.end();
        self.acknowledged
            .lock()
            .expect("no client panicked")
            .clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

/// Which of the acknowledged commits a PostgreSQL lacks.
pub fn missing(connection: &str, acknowledged: &[Acknowledged]) -> Vec<i64> {
    Postgres(connection.to_owned()).missing(acknowledged)
}

fn commit_until(
    stop: &AtomicBool,
    engine: &dyn Clients,
    client: i64,
    acknowledged: &Mutex<Vec<Acknowledged>>,
) {
    let mut next = client << 40;
    while !stop.load(Ordering::SeqCst) {
        // Errors are what happens at a fence: the client tries again until it is told to stop.
        let _ = session(stop, engine, &mut next, acknowledged);
        thread::sleep(Duration::from_millis(50));
    }
}

/// The id is used up before the commit is tried: one whose answer is lost is never claimed and never reused.
fn session(
    stop: &AtomicBool,
    engine: &dyn Clients,
    next: &mut i64,
    acknowledged: &Mutex<Vec<Acknowledged>>,
) -> Result<(), Box<dyn Error>> {
    let mut session = engine.connect()?;
    while !stop.load(Ordering::SeqCst) {
        *next += 1;
        let id = *next;
        let row = i32::try_from(id % 1000 + 1).expect("below 1001");
        session.commit(id, row)?;
        acknowledged
            .lock()
            .expect("no client panicked")
            .push(Acknowledged { id, at: Utc::now() });
    }
    Ok(())
}

/// PostgreSQL, by its connection string.
pub struct Postgres(pub String);

impl Clients for Postgres {
    fn make_tables(&self) {
        let mut client = Client::connect(&self.0, NoTls).expect("the database accepts connections");
        let tables = "CREATE TABLE IF NOT EXISTS commits (id bigint PRIMARY KEY, filler text); \
            CREATE TABLE IF NOT EXISTS balances (id int PRIMARY KEY, n bigint); \
            INSERT INTO balances SELECT g, 0 FROM generate_series(1, 1000) g ON CONFLICT DO NOTHING";
        client
            .batch_execute(tables)
            .expect("the tables can be made");
    }

    fn connect(&self) -> Result<Box<dyn Session>, Box<dyn Error>> {
        Ok(Box::new(Client::connect(&self.0, NoTls)?))
    }

    fn missing(&self, acknowledged: &[Acknowledged]) -> Vec<i64> {
        let mut client = Client::connect(&self.0, NoTls).expect("the database accepts connections");
        let ids: Vec<i64> = acknowledged.iter().map(|commit| commit.id).collect();
        let statement =
            "SELECT id FROM unnest($1::bigint[]) id EXCEPT SELECT id FROM commits ORDER BY 1";
        client
            .query(statement, &[&ids])
            .expect("the commits can be compared")
            .iter()
            .map(|row| row.get(0))
            .collect()
    }
}

impl Session for Client {
    fn commit(&mut self, id: i64, row: i32) -> Result<(), Box<dyn Error>> {
        let mut transaction = self.transaction()?;
        transaction.execute("INSERT INTO commits VALUES ($1, repeat('x', 200))", &[&id])?;
        transaction.execute("UPDATE balances SET n = n + 1 WHERE id = $1", &[&row])?;
        Ok(transaction.commit()?)
    }
}
