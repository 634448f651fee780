//! Receive buffers for RTP over UDP.
//!
//! A key frame of a few hundred kilobytes arrives within a millisecond or two, and nobody reads while the stream's
//! thread is parked between rounds, so the kernel must hold it. Its default (208 KiB, of which each packet takes
//! about twice its size) does not. TCP needs nothing of the kind: its window grows by itself and the camera waits.
//!
//! retina makes the sockets and does not show them. Their numbers stand in `/proc/self/fd`, and `pidfd_getfd(2)` on
//! ourselves gives an owned duplicate of each without any unsafe code; options set on a duplicate hold for the
//! socket. Where that is not allowed the default stays, and lost packets are counted as ever.

use rustix::process::{self, ForeignRawFd, PidfdFlags, PidfdGetfdFlags};
use socket2::{SockRef, Type};
use std::os::fd::OwnedFd;

/// What a stream of up to 16 Mbit/s needs for 100 ms and a large key frame, overhead of the packets included.
const WANTED: usize = 2 << 20;

/// Gives every connected UDP socket of this process that has less the buffer it needs, and returns the smallest
/// granted, as the kernel counts it (twice what can be asked for); `None` when there is none, or it cannot be done.
pub(crate) fn widen_udp_buffers() -> Option<usize> {
    let this_process = process::pidfd_open(process::getpid(), PidfdFlags::empty()).ok()?;
    let mut smallest = None;
    for entry in std::fs::read_dir("/proc/self/fd").ok()?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<ForeignRawFd>().ok())
        else {
            continue;
        };
        let is_socket =
            std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        if !is_socket {
            continue;
        }
        let Ok(duplicate) = process::pidfd_getfd(&this_process, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        if let Some(granted) = widen(&duplicate) {
            smallest = Some(smallest.map_or(granted, |other: usize| other.min(granted)));
        }
    }
    smallest
}

fn widen(socket: &OwnedFd) -> Option<usize> {
    let socket = SockRef::from(socket);
    let is_connected_udp = socket.r#type().is_ok_and(|kind| kind == Type::DGRAM)
        && socket.peer_addr().is_ok_and(|peer| peer.is_ipv4() || peer.is_ipv6());
    if !is_connected_udp {
        return None;
    }
    let size = socket.recv_buffer_size().ok()?;
    if size >= WANTED {
        return Some(size);
    }
    // Capped by net.core.rmem_max without an error.
    socket.set_recv_buffer_size(WANTED).ok()?;
    socket.recv_buffer_size().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_connected_udp_socket_gets_a_wider_buffer() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = SockRef::from(&socket).recv_buffer_size().unwrap();
        socket.connect(peer.local_addr().unwrap()).unwrap();
        let granted = widen_udp_buffers().expect("pidfd_getfd on ourselves");
        let after = SockRef::from(&socket).recv_buffer_size().unwrap();
        assert!(granted > before && after > before, "{before} -> {after}, granted {granted}");
        assert_eq!(SockRef::from(&peer).recv_buffer_size().unwrap(), before, "not connected, not ours");
    }
}
