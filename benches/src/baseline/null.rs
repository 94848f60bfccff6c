//! A server that answers every read with the same bytes and looks at none of them.
//!
//! Nothing can be much quicker through a socket, so its figure is that of the load generator and of the machine.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::baseline::announce;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const DOOR: Token = Token(usize::MAX);

/// Serves until the process is stopped. One read counts as one request, which holds for this package's generator: it writes a
/// request at once and waits for the answer.
pub fn run() -> Result<()> {
    let here: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut door = TcpListener::bind(here).context("cannot listen")?;
    let mut poll = Poll::new().context("cannot make an epoll")?;
    poll.registry().register(&mut door, DOOR, Interest::READABLE)?;
    announce(door.local_addr()?)?;
    let (mut events, mut guests, mut buffer) = (Events::with_capacity(1024), Vec::new(), vec![0; 64 * 1024]);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            if event.token() == DOOR {
                welcome(&door, &poll, &mut guests)?;
            } else if let Some(guest) = guests.get_mut(event.token().0) {
                answer(guest, &mut buffer);
            }
        }
    }
}

fn welcome(door: &TcpListener, poll: &Poll, guests: &mut Vec<TcpStream>) -> Result<()> {
    while let Ok((mut guest, _)) = door.accept() {
        guest.set_nodelay(true)?;
        poll.registry().register(&mut guest, Token(guests.len()), Interest::READABLE)?;
        guests.push(guest);
    }
    Ok(())
}

fn answer(guest: &mut TcpStream, buffer: &mut [u8]) {
    if guest.read(buffer).is_ok_and(|count| count > 0) {
        // The generator notices a connection that broke.
        let _ = guest.write(ANSWER);
    }
}
