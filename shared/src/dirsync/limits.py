"""Every bound of dirsync in one place, each with its unit and its reason.

A bound that a user may want to move is a setting (``*/settings.py``); what is here holds for every installation, so
that no input, whoever sends it, can make either side use memory, time, descriptors or disk without end.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds shared by both sides."""

    # Names and paths.
    max_name_bytes: int = 255
    """One component, in bytes: NAME_MAX of every Linux file system that matters."""
    max_path_bytes: int = 128 * KIB
    """A whole relative path, in bytes. We walk by descriptor, so PATH_MAX does not bind us, but messages do."""
    max_target_bytes: int = 4095
    """A symbolic link's target, in bytes: PATH_MAX without the NUL."""

    # Messages.
    max_message_bytes: int = 1 * MIB
    """One gRPC message, in bytes. Parsed protobuf can be a hundred times its wire size, so the wire size is bounded."""
    window_bytes: int = 4 * MIB
    """What may be under way on one stream before its reader takes it, in bytes: 40 MB/s at 100 ms of round trip."""
    frame_bytes: int = 960 * KIB
    """Payload of one data frame, in bytes: large enough to amortise a message, small enough that a change of another
    file waits no longer than one frame."""
    batch_bytes: int = 256 * KIB
    """What a batch of small operations aims at, in bytes."""
    inline_file_bytes: int = 64 * KIB
    """A file of at most this many bytes travels inside a batch; a larger one as begin, data, end."""
    max_listed_entries: int = 20_000_000
    """Entries that a client takes from its server's listings: twice what a server takes unless it is told otherwise.
    Each costs the client some 300 bytes."""
    listing_bytes: int = 256 * KIB
    """What one page of a listing aims at, in bytes."""
    max_frame_pieces: int = 16_384
    """Pieces of one delta frame. A message of the smallest pieces would hold half a million, each an object of ours."""
    max_signature_ranges: int = 16_384
    """Ranges of blocks in one request for a signature: every second one of the coarse blocks of the largest file."""
    signature_bytes: int = 256 * KIB
    """What one page of a signature holds at most, in bytes."""
    max_metadata_bytes: int = 16 * KIB
    """gRPC metadata (headers) of one call, in bytes."""

    # Connections.
    max_streams_per_connection: int = 64
    """Concurrent calls of one connection."""
    reserve_connections: int = 192
    """Connections beyond one for each session: people, probes, scrapers."""
    reserve_workers: int = 8
    """Server threads beyond everybody's share, for whoever is only there to be refused."""
    max_calls_per_caller: int = 16
    """Calls that one caller may have under way: an honest client has a push stream, a listing and few others. Each may
    hold a thread."""
    max_health_calls: int = 16
    """Calls of health under way, whoever makes them: they need no credentials."""
    max_health_watchers: int = 8
    """Those of them that watch, so that there are others to ask once."""
    max_watchers: int = 16
    """Streams that watch an agent's events."""

    # The HTTP door.
    http_connections: int = 16
    """Connections served at a time, each by a thread; further ones are closed at once."""
    http_connections_per_address: int = 8
    """Those of one address, so that it cannot keep probes out."""
    http_seconds: float = 5.0
    """How long a request may take to arrive, and an answer to be taken."""
    http_request_bytes: int = 16 * KIB
    """A request's first line and headers, in bytes."""

    # Credentials.
    auth_burst: int = 20
    """Wrong credentials in a row that are looked at, from one network: a person who tries, or a rotation under way."""
    auth_refill_seconds: float = 6.0
    """After this another one is: what guessing comes down to is 14,400 a day, nothing against 128 random bits."""
    auth_networks: int = 4096
    """Networks whose failures are remembered; each costs some 300 bytes."""
    auth_connections: int = 4096
    """Connections that are known to have shown a valid token; more than can be open at a time."""

    # Work in flight.
    max_commit_operations: int = 2048
    """Operations that a commit may hold before the server commits by itself."""
    max_commit_bytes: int = 256 * MIB
    """Staged bytes that a commit may hold before the server commits by itself."""
    max_open_files: int = 4
    """Large files that travel interleaved on one stream."""
    directory_descriptors: int = 64
    """Directory descriptors that one root keeps open as a cache."""

    # Content that the replica has.
    max_contents: int = 2_000_000
    """Digests of which one replica knows where the content is; each costs some 150 bytes."""
    max_content_paths: int = 4
    """Paths that are kept for one digest."""

    # Rules.
    max_ignore_rules: int = 1000
    """Ignore rules of one session."""
    max_ignore_rule_bytes: int = 1024
    """One ignore rule, in bytes."""
    max_ignore_bytes: int = 64 * KIB
    """All ignore rules of one session together, in bytes: the automaton that matches them grows with their text."""

    # Delta.
    min_block_size: int = 512
    """Smallest delta block, in bytes: below this a signature outweighs what it saves."""
    max_block_size: int = 16 * MIB
    """Largest delta block, in bytes."""
    max_blocks: int = 524_288
    """Blocks of one file; the block size doubles until a file has no more."""
    sparse_weak_bytes: int = 64 * MIB
    """Of a file larger than this many bytes our own signature has weak checksums of some blocks only: they cost four
    times as much as its strong ones."""
    sparse_weak_stride: int = 4
    """Of every so manieth block then. A moved stretch shorter than this many blocks may be missed."""
    search_window_bytes: int = 128 * KIB
    """How far, in bytes, one look ahead goes where basis and target are out of step; at least one block."""
    search_window_blocks: int = 32
    """The same in blocks, of which each costs some work if they are small."""
    max_pending_bytes: int = 2 * MIB
    """What is kept back of a literal, in bytes, for a stretch whose later blocks are found first; if a stretch of
    blocks may be longer, nothing is."""
    search_tile_bytes: int = 64 * KIB
    """Offsets whose weak checksums are computed at a time: their arrays stay in a processor's cache."""
    search_free_bytes: int = 32 * MIB
    """Offsets that are searched in vain before searching becomes rare: it is slower than sending."""
    search_share: int = 32
    """From then on one of so many offsets is searched."""
    search_reward: int = 16
    """Each byte that matches makes up for so many that were searched in vain."""
    quiet_edit_blocks: int = 2
    """A changed stretch of at most this many blocks, with basis and target in step behind it, is not searched: it could
    hide no more than one block that moved."""
    max_candidates: int = 16
    """Blocks with the same weak checksum that are compared at one offset."""
    failed_check_share: int = 8
    """Strong checksums that decide against a weak one cost at most so many times what searching costs: weak checksums
    are easily made to collide."""
    min_zero_run: int = 4 * KIB
    """Zero bytes in a row from which on they travel as a number."""
    sample_blocks: int = 32
    """Blocks that are looked for to see how much of a target its basis has."""
    sample_windows: int = 8
    """Windows that are searched at all offsets for what is not found in place."""
    sample_bytes: int = 8 * MIB
    """Bytes read for all blocks of a sample: fewer blocks where they are large."""
    sample_window_bytes: int = 64 * KIB
    """Offsets of such a window where only a few blocks are known."""
    sample_search_bytes: int = 2 * MIB
    """Offsets of all windows of a sample."""
    coarse_factor: int = 16
    """Fine blocks in a coarse one, where checksums are fetched in two steps."""

    fine_blocks: int = 4096
    """Blocks of a file up to which all checksums are asked for at once; above that coarse blocks come first."""
    min_similarity: float = 0.05
    """Part of a sample that has to be in the basis for a delta to pay."""
    min_remembered_bytes: int = 256 * KIB
    """Smallest file whose signature a client remembers: below this asking for it costs no more than keeping it."""
    signature_store_bytes: int = 256 * MIB
    """What a client's remembered signatures may take on disk: enough for some 60 GiB of files."""

    # Time.
    session_idle_seconds: float = 15.0
    """A session without an open push stream and without a call is over after this, and another writer may come."""
    unary_deadline_seconds: float = 30.0
    """Deadline of a call that returns one message."""
    request_seconds: float = 60.0
    """How long a request may take to arrive once its call has begun: 1 MiB at 140 kbit/s."""
    stalled_response_seconds: float = 60.0
    """How long a peer may take to take one message: a page of 256 KiB at 35 kbit/s."""
    keepalive_seconds: float = 20.0
    """HTTP/2 ping interval of a client; a dead peer is noticed after this and the timeout below."""
    keepalive_timeout_seconds: float = 10.0
    """How long a ping may stay unanswered."""
    handshake_seconds: float = 10.0
    """How long a connection may take to say who it is."""
    connection_idle_seconds: float = 20.0
    """A connection without calls is closed after this, so that others get its place; gRPC opens another when needed."""
    backoff_initial_seconds: float = 0.2
    """First pause before connecting again; each next one up to doubles, with full jitter."""
    backoff_max_seconds: float = 30.0
    """Longest pause before connecting again."""

    # Reading files that others write.
    stable_read_attempts: int = 3
    """How often a file that changes while it is read is read again before it becomes a Problem."""
    racy_window_ns: int = 50_000_000
    """A file changed less than this before it was looked at may change again within one timestamp tick, so its
    fingerprint proves nothing yet (git calls such an entry racily clean). Nanoseconds."""
    coarse_racy_window_ns: int = 2_500_000_000
    """The same for a file system that keeps whole seconds only (FAT: two). Nanoseconds."""

    # Looking at the source.
    max_dirty_paths: int = 100_000
    """Paths that wait to be looked at; above this one look at everything is cheaper, and its memory is known."""
    settle_stretch: float = 20.0
    """A file that is written all the time is looked at after this many settle times at the latest."""
    delete_settle_stretch: float = 10.0
    """Deletes that keep coming are judged after this many delete settle times at the latest."""
    max_departed_entries: int = 100_000
    """Entries that left their path and are remembered for a while, so that a rename is recognised."""
    rescan_cost_stretch: float = 50.0
    """A rescan starts no sooner than this many times the last one's cost after it: at most two percent of one core."""
    retry_initial_seconds: float = 1.0
    """First pause before looking again at a path that had a problem; each next one doubles."""
    retry_max_seconds: float = 60.0
    """Longest pause before looking again at a path that had a problem."""

    # Files.
    file_read_bytes: int = 1 * MIB
    """One read of a file that is only hashed, in bytes."""
    hash_batch_files: int = 64
    """Files that a hashing thread takes at a time: small ones cost less than being handed over one by one."""
    individual_fsyncs: int = 4
    """Files or directories of one commit that are synced one by one. For more, one sync of the file system is cheaper
    (measured on ext4: from two on), but it waits for what others have written there too."""
    staging_names: int = 9
    """Names tried for the staging directory before we give up: each that is taken by somebody else costs one."""
    index_batch_rows: int = 5_000
    """Rows of one transaction of the index."""
    index_batch_seconds: float = 0.2
    """How long the index waits for more rows before it writes those that it has."""
    index_queue_rows: int = 100_000
    """Rows that may wait for the index's writer; whoever adds more waits for it."""
    index_busy_seconds: float = 1.0
    """How long opening the index waits for another process to let go of it."""


LIMITS = Limits()
