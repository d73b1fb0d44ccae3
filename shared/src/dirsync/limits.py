"""Every bound of dirsync in one place, each with its unit and its reason.

A bound that a user may want to move is a setting (``*/settings.py``); what is here holds for every installation, so
that no input from any peer can make either side use memory, time, descriptors or disk without bound.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # each would be compiled at every start, for 150 fields
class Limits:
    """Bounds shared by both sides."""

    # Names and paths.
    max_name_bytes: int = 255
    """One component, in bytes: NAME_MAX of the common Linux file systems."""
    max_path_bytes: int = 128 * KIB
    """A whole relative path, in bytes. Paths are walked by descriptor, so PATH_MAX does not apply, but messages do."""
    max_target_bytes: int = 4095
    """A symbolic link's target, in bytes: PATH_MAX without the NUL."""

    # Messages.
    max_message_bytes: int = 1 * MIB
    """One gRPC message, in bytes. Parsed protobuf can be a hundred times its wire size, so the wire size is bounded."""
    window_bytes: int = 4 * MIB
    """Flow-control window of one stream, in bytes: 40 MB/s at a round trip of 100 ms."""
    frame_bytes: int = 960 * KIB
    """Payload of one data frame, in bytes: large enough to amortise a message, small enough that a change of another
    file, which waits for one frame at most, is not delayed much."""
    min_bulk_bytes: int = 16 * MIB
    """A file of at least this many bytes is worth it that the process keeps the memory of its messages."""
    joined_copy_bytes: int = 8 * MIB
    """How much a copy of the basis may cover before it is sent, in bytes, because what follows may go on with it: few
    messages, and the server is never far behind with its copying."""
    batch_bytes: int = 256 * KIB
    """Target size of a batch of small operations, in bytes."""
    commit_seconds: float = 0.5
    """Small operations that were sent are committed after this at the latest, although more are waiting: on a slow line
    they would be acknowledged late, and a client that has to end would have published nothing."""
    inline_file_bytes: int = 64 * KIB
    """A file of at most this many bytes travels inside a batch; a larger one as begin, data, end."""
    max_section_entries: int = 4096
    """Entries of one section of a new directory: each costs an object. A section of 256 KiB has fewer."""
    max_built_entries: int = 16_384
    """Entries of a directory that is built as a whole. What does not fit follows when it is there."""
    max_built_bytes: int = 4 * MIB
    """Bytes of the files in it; what does not fit follows. A lost connection loses the directory that was under way,
    and on a slow line nothing is seen of it until it is there: a line of 10 Mbit/s carries so much in 3.4 s."""
    max_built_depth: int = 64
    """Directories in one another in it: an entry costs as many calls as it is deep, whatever its message has."""
    max_built_path_bytes: int = 4 * MIB
    """All paths in it together, in bytes: a message has the names alone."""
    min_built_files: int = 8
    """Files from which on a new directory is built as a whole. A smaller one is made step by step, so that what is
    added to it while it is under way need not wait."""
    max_listed_entries: int = 20_000_000
    """Entries that a client accepts in listings of its server: twice a server's default for QUOTA_ENTRIES. Each costs
    the client about 300 bytes."""
    listing_bytes: int = 256 * KIB
    """Target size of one page of a listing, in bytes."""
    max_frame_pieces: int = 16_384
    """Pieces of one delta frame. A message could hold half a million of the smallest ones, each of which costs an
    object."""
    max_signature_ranges: int = 16_384
    """Ranges of blocks in one request for a signature: every second coarse block of the largest file."""
    signature_bytes: int = 256 * KIB
    """Largest page of a signature, in bytes."""
    content_seconds: float = 600.0
    """Deadline of a call for content. Its pieces flow as the client reads them. What came until then is kept, and the
    rest is asked for by another call."""
    max_content_ranges: int = 16_384
    """Ranges of bytes in one request for content: every second block of a file of 32,768 blocks. More ranges take
    another request."""
    agreed_trees: int = 8
    """Replicas for which a two-way client keeps what was agreed on."""
    source_free_bytes: int = 64 * MIB
    """Space that what a two-way client receives leaves free on the disk of its source."""
    max_reported_changes: int = 4096
    """Changed paths of a replica that wait for one watcher of it. Of more it is told that everything may be different,
    which costs it listings of the directories that differ."""
    max_reported_bytes: int = 1 * MIB
    """Bytes of those paths."""
    report_bytes: int = 256 * KIB
    """Target size of one message of a report of changes, in bytes."""
    max_metadata_bytes: int = 16 * KIB
    """gRPC metadata (headers) of one call, in bytes."""

    # Connections.
    max_streams_per_connection: int = 64
    """Concurrent calls of one connection."""
    max_waiting_calls: int = 4096
    """Calls that no thread has taken yet, of all connections. Of more the library ends some, whoever made them, as
    CANCELLED; of twice as many it ends all. Its own limit is 1,000, which 16 connections reach."""
    reserve_connections: int = 192
    """Connections in addition to one for each session: for operators, probes and scrapers."""
    reserve_workers: int = 8
    """Server threads in addition to the quotas of all callers, for calls that are only refused."""
    max_calls_per_caller: int = 16
    """Calls in flight of one caller. A client has a push stream, a listing and few others. Each may hold a thread."""
    max_two_way_sessions: int = 8
    """Two-way clients of a replica at a time: they may share a token, and each has a push stream and further calls."""
    max_content_reads: int = 2
    """Contents that one session reads from the replica at a time."""
    max_two_way_calls_per_caller: int = 24
    """Calls in flight of one caller that watch or read a replica: those of its two-way sessions. They have a quota of
    their own, because each holds a thread for long."""
    max_health_calls: int = 16
    """Calls of the health service in flight, of all callers together, because they need no credentials."""
    max_health_watchers: int = 8
    """Those of them that may be streams, so that single requests are still served."""
    max_watchers: int = 16
    """Streams of an agent's events."""

    # HTTP.
    http_connections: int = 16
    """Connections that are served at a time, each by a thread. Further ones are closed at once."""
    http_connections_per_address: int = 8
    """Those of one address, so that it cannot block probes."""
    http_seconds: float = 5.0
    """Time for a request to arrive, and for a response to be read."""
    http_request_bytes: int = 16 * KIB
    """A request's first line and headers, in bytes."""

    # Credentials.
    auth_burst: int = 20
    """Wrong credentials of one network that are checked without delay: for a user who tries, or a rotation."""
    auth_refill_seconds: float = 6.0
    """Time after which another one is checked. This limits guessing to 14,400 a day, negligible for 128 random bits."""
    auth_networks: int = 4096
    """Networks whose failures are remembered. Each costs about 300 bytes."""
    auth_connections: int = 4096
    """Connections that are remembered to have presented a valid token: more than can be open at a time."""

    # Work in flight.
    max_commit_operations: int = 2048
    """Operations that a commit may hold before the server commits by itself."""
    max_commit_bytes: int = 256 * MIB
    """Staged bytes that a commit may hold before the server commits by itself."""
    max_open_files: int = 4
    """Large files that travel interleaved on one stream."""
    upload_id_bytes: int = 16
    """Length of the id of an upload."""
    interrupted_frame_bytes: int = 128 * KIB
    """Payload of one data frame of a file whose upload was interrupted, in bytes: a line that is cut every few seconds
    carries a small frame where it does not carry a large one."""
    upload_checkpoints: int = 512
    """Frames of an upload after which a client knows the digest of what it has sent: more than can be under way, so
    that one of them is where the server stopped."""
    remembered_uploads: int = 16
    """Interrupted uploads of which a client remembers that."""

    # Uploads whose stream ended.
    max_kept_uploads: int = 16
    """Interrupted uploads that a replica keeps: those of four streams."""
    kept_upload_share: float = 0.5
    """Part of the space that would be free without them which they may take together. They count for QUOTA_BYTES, and
    give way to whatever is to be stored."""
    kept_upload_seconds: float = 24 * 3600.0
    """How long an interrupted upload is kept."""

    # Descriptors.
    directory_descriptors: int = 64
    """Directory descriptors that one root keeps open as a cache."""

    # Content that the replica has.
    max_contents: int = 2_000_000
    """Digests whose paths one replica knows. Each costs about 150 bytes."""
    max_content_paths: int = 4
    """Paths that are remembered for one digest."""

    # Rules.
    max_ignore_rules: int = 1000
    """Ignore rules of one session."""
    max_ignore_rule_bytes: int = 1024
    """One ignore rule, in bytes."""
    max_ignore_bytes: int = 64 * KIB
    """All ignore rules of one session together, in bytes: the automaton that matches them grows with their text."""
    untracked_named: int = 100
    """Untracked paths of one directory that are kept by name; all are counted."""
    untracked_shown: int = 10
    """Untracked paths that a status names."""
    log_backlog_bytes: int = 1024 * KIB
    """Log that waits in memory while nobody reads stderr; what comes beyond is dropped, and counted."""
    log_stall_seconds: float = 1.0
    """A reader of stderr that takes nothing for so long does not read: nothing waits for it any more."""

    # Delta.
    min_block_size: int = 512
    """Smallest delta block, in bytes: below this a signature outweighs what it saves."""
    max_block_size: int = 16 * MIB
    """Largest delta block, in bytes."""
    max_blocks: int = 524_288
    """Blocks of one file; the block size doubles until a file has no more."""
    group_blocks: int = 16
    """Blocks that share one strong checksum in our own signature, in addition to their own: equal ones are recognised
    by it, in a third of the time."""
    sparse_weak_bytes: int = 64 * MIB
    """Of a file larger than this many bytes our own signature has weak checksums of some blocks only: they cost four
    times as much as its strong ones."""
    sparse_weak_stride: int = 16
    """Every block with a number divisible by this has one then. A moved range of fewer blocks may be missed."""
    search_window_bytes: int = 128 * KIB
    """How far ahead, in bytes, one search goes where basis and target are not aligned; at least one block."""
    search_window_blocks: int = 32
    """The same in blocks, because each block costs some work if blocks are small."""
    max_pending_bytes: int = 2 * MIB
    """Bytes of a literal that are held back, in case the later blocks of a range are found first. If a range of blocks
    may be longer, nothing is held back."""
    search_tile_bytes: int = 64 * KIB
    """Offsets whose weak checksums are computed at a time, so that their arrays stay in the processor's cache."""
    search_free_bytes: int = 32 * MIB
    """Offsets that are searched without a match before searching becomes rare, because it is slower than sending."""
    search_share: int = 32
    """From then on one of this many offsets is searched."""
    search_reward: int = 16
    """Each matching byte compensates for this many that were searched without a match."""
    quiet_edit_blocks: int = 2
    """A changed range of at most this many blocks, with basis and target aligned after it, is not searched: it could
    hide at most one moved block."""
    max_candidates: int = 16
    """Blocks with the same weak checksum that are compared at one offset."""
    failed_check_share: int = 8
    """Strong checksums that reject a weak match may cost at most this many times what searching costs, because
    collisions of weak checksums are easily made."""
    min_zero_run: int = 4 * KIB
    """Length of a run of zero bytes from which it is sent as a count."""
    sample_blocks: int = 32
    """Blocks that are sampled to estimate how much of a target its basis has."""
    sample_windows: int = 8
    """Windows that are searched at all offsets for blocks that are not found in place."""
    sample_bytes: int = 8 * MIB
    """Bytes read for all blocks of a sample. If blocks are large, a sample has fewer."""
    sample_window_bytes: int = 64 * KIB
    """Offsets of such a window if only a few blocks are known."""
    sample_search_bytes: int = 2 * MIB
    """Offsets of all windows of a sample."""
    coarse_factor: int = 16
    """Fine blocks in a coarse one, if checksums are fetched in two steps."""

    fine_blocks: int = 4096
    """Blocks of a file up to which all checksums are requested at once. Above that coarse blocks come first."""
    min_similarity: float = 0.05
    """Part of a sample that must be in the basis for a delta to save bytes."""
    min_remembered_bytes: int = 256 * KIB
    """Smallest file whose signature a client keeps: below this requesting it costs no more than keeping it."""
    signature_store_bytes: int = 256 * MIB
    """Size of a client's kept signatures on disk: enough for about 60 GiB of files."""

    # Time.
    early_session_seconds: float = 5.0
    """A session that was opened before the source was scanned is used if the scan took no longer than this; well below
    ``session_idle_seconds``, after which another client may have the replica."""
    session_idle_seconds: float = 15.0
    """A session without an open push stream and without a call ends after this, and another writer is admitted."""
    unary_deadline_seconds: float = 30.0
    """Deadline of a call that returns one message."""
    request_seconds: float = 60.0
    """Time for a request to arrive once its call has begun: 1 MiB at 140 kbit/s."""
    stalled_response_seconds: float = 60.0
    """Time for a peer to read one message: a page of 256 KiB at 35 kbit/s."""
    keepalive_seconds: float = 30.0
    """HTTP/2 ping interval of a client. A server that nothing reaches is given up after this plus the timeout below."""
    keepalive_server_stretch: float = 1.5
    """Times that interval for a server to ping a client from which nothing came: one that lives pings before that, and
    a server with a thousand idle sessions has only to answer."""
    keepalive_timeout_seconds: float = 10.0
    """Time for a peer's TCP to acknowledge what was sent, a ping at least."""
    keepalive_ping_stretch: float = 6.0
    """Times that timeout for a peer to answer a ping. A ping queues behind the content that was sent before it, on a
    slow line for long."""
    handshake_seconds: float = 10.0
    """Time for a connection to complete its handshake."""
    connection_idle_seconds: float = 20.0
    """A connection without calls is closed after this, so that others can connect. gRPC opens another when needed."""
    age_grace_seconds: float = 10.0
    """What a connection that has reached MAX_CONNECTION_AGE and was told to end has for its calls; a push stream ends
    then, and its client connects again."""
    backoff_initial_seconds: float = 0.2
    """Upper bound of the first pause before reconnecting. It doubles each time; the pause is random below it."""
    reconnect_max_seconds: float = 4.0
    """Largest upper bound of a pause before reconnecting: a server that is back is found within five seconds."""
    backoff_max_seconds: float = 30.0
    """The same where the server refuses the client's credentials, because each attempt counts as a guess; and the pause
    after another session has taken over."""

    namespace_open_seconds: float = 5.0
    """How long a call waits while its namespace is being opened. After that it is told to come again."""
    namespace_close_seconds: float = 5.0
    """How long the calls of a namespace that is to be closed may take to end before they are told once more."""

    # Several servers of one client.
    max_targets: int = 32
    """Servers of one client. Each has half a dozen threads, a connection, and a tree of what its replica has."""
    shared_read_bytes: int = 24 * MIB
    """Content that was read for one server and is kept for the others, in bytes. A server that is further behind costs
    another reading."""
    shared_read_seconds: float = 10.0
    """How long it is kept at the most."""

    # Reading files that others write.
    stable_read_attempts: int = 3
    """How often a file that changes while it is read is read before it becomes a Problem."""
    racy_window_ns: int = 50_000_000
    """A file that changed less than this before its fingerprint was taken may change again within one timestamp tick,
    so the fingerprint proves nothing (git calls such an entry racily clean). Nanoseconds."""
    coarse_racy_window_ns: int = 2_500_000_000
    """The same for a file system that keeps whole seconds only (FAT: two). Nanoseconds."""

    # Watching and scanning the source.
    max_dirty_paths: int = 100_000
    """Paths that wait for a check. Above this a full scan is cheaper, and its memory is bounded."""
    settle_stretch: float = 20.0
    """A file that is written continuously is checked after this many settle times at the latest."""
    delete_settle_stretch: float = 10.0
    """If deletes keep arriving, they are judged after this many delete settle times at the latest."""
    max_departed_entries: int = 100_000
    """Entries that left their path and are remembered for some time, so that a rename is recognised."""
    max_recent_entries: int = 100_000
    """Entries that came within the guards' window and are remembered, so that a rebuild is told from a loss."""
    max_shown_paths: int = 1_000_000
    """Paths of earlier holds that are remembered, so that an approval of one that has changed since is understood."""
    max_link_waits: int = 4096
    """Paths that a symbolic link waits for before it is published, so that it leads to what is there."""
    max_followed_entries: int = 10_000
    """Entries behind links that changed, together, that are looked at at once."""
    max_hard_links: int = 1024
    """Files with several names of which it is kept where they are; others are searched for when they change."""
    links_on_the_way: int = 40
    """Symbolic links that the path of the source leads through and that are watched: as many as Linux follows."""
    link_window_ns: int = 2_000_000_000
    """A file that was written this long before or after it got a further name may have been written through that.
    Nanoseconds."""
    replica_rescan_seconds: float = 600.0
    """A replica whose files are watched is scanned this often for what events did not tell; its clients ask for scans
    besides."""
    rescan_cost_stretch: float = 50.0
    """The pause between two rescans is at least this many times the cost of the last one: at most two percent of one
    core."""
    retry_initial_seconds: float = 1.0
    """First pause before a path that had a problem is tried again; it doubles each time."""
    retry_passing_seconds: float = 0.1
    """The same, where somebody changed a path of a two-way client under its hands: more than ``racy_window_ns``, within
    which a file that was just changed cannot be told from one that was changed again."""
    passing_retries: int = 6
    """So often a single sync of a two-way client tries such a path again before it ends with that problem: 6 s."""
    retry_max_seconds: float = 60.0
    """Longest pause before a path that had a problem is tried again, but for ``retries_per_second``."""
    retries_per_second: float = 200.0
    """How many paths that had a problem are tried again in a second, if very many have one. Their pauses grow with
    their number, so that 100,000 refused files take a bounded part of a core at both ends. Probes find out in the
    meantime whether the cause is gone."""

    probe_seconds: float = 2.5
    """How often it is tried whether the cause of failed paths is gone."""
    probe_paths: int = 64
    """Paths of the source that are opened each time for that."""
    probe_bytes_per_second: float = 4 * MIB
    """How much may be sent for that, on average: a larger file is tried less often."""

    # Standing still.
    stall_interval_share: float = 0.75
    """What a thread waits for counts as standing still after this part of a rescan interval, within the two bounds
    below."""
    stall_min_seconds: float = 3.0
    """The least of that: a busy machine may keep a thread waiting as long."""
    stall_max_seconds: float = 30.0
    """The most of that. Also: how long the server may take for a commit, and the client for its own work."""
    stuck_seconds: float = 300.0
    """A client whose own work takes this long in one step is stuck: only a restart helps."""

    max_travels: int = 10_000
    """Paths of which a client remembers how they travelled, for ``explain``."""

    # Hooks.
    max_hook_paths: int = 10_000
    """Changed paths that a hook is told, and that are kept for it meanwhile."""
    max_hook_path_bytes: int = 1 * MIB
    """Bytes of those paths."""
    max_hook_bytes: int = 1 * MIB
    """What a hook is sent, in bytes: a path may be longer there, because it is escaped."""
    hook_output_bytes: int = 2 * KIB
    """The end of what a hook's command writes that is kept for the log, in bytes."""
    hook_debounces: float = 10.0
    """A hook waits at most this many times ``HOOK_DEBOUNCE`` while the state keeps changing."""
    hook_first_pause_seconds: float = 1.0
    """The pause before a hook that failed is tried again; it doubles with each failure."""
    hook_longest_pause_seconds: float = 60.0
    """The longest such pause."""
    hook_end_seconds: float = 1.0
    """How long a command may take to end by SIGTERM before it gets SIGKILL."""

    # Files that never rest.
    pace_stretch: float = 4.0
    """After a file was sent whole it is left alone for this many times what that took, so that one that is written all
    the time takes at most a fifth of the line and of a core."""
    pace_least_stretch: float = 1.0
    """After little of a file was sent it is left alone for this many times what that took. Nothing but reading it costs
    then, and a database or a disk image that is written now and then is not held back."""
    pace_burst_seconds: float = 2.0
    """Pauses that are saved up: with the smallest cost, about 20 versions of a file are sent one after another."""
    pace_least_seconds: float = 0.02
    """The least that sending a file is taken to cost, because commits and answers cost something for small files."""
    pace_rest_seconds: float = 0.25
    """A file that was not written for this long, or for as long as it took to send if that is longer, is sent without a
    pause."""
    pace_longest_rest_seconds: float = 5.0
    """But it need not rest for longer than this."""
    pace_longest_seconds: float = 60.0
    """A file that keeps growing, and of which much was sent, is sent again after this at the latest."""
    pace_small_bytes_per_second: float = 32 * KIB
    """How much is sent of a file that keeps growing and is small enough for a batch. The largest such file takes two
    seconds."""
    pace_memory_seconds: float = 10.0
    """How long at least it is remembered what sending a file took."""

    # Files.
    file_read_bytes: int = 1 * MIB
    """One read of a file that is only hashed, in bytes."""
    min_hash_part_bytes: int = 512 * KIB
    """Least size of a part of a large file behind which the state of its SHA-256 is kept, in bytes."""
    min_checkpointed_bytes: int = 4 * MIB
    """Smallest file of which such states are kept: a smaller one is hashed in less than three milliseconds."""
    hash_checkpoints: int = 4096
    """States that are kept, of all contents of a replica or source together: those of about 4 GiB. Each takes about 500
    bytes."""
    hash_batch_files: int = 64
    """Files that a hashing thread takes at a time, because handing over small files one by one costs more than
    hashing."""
    individual_fsyncs: int = 4
    """Files or directories of one commit that are synced one by one. For more, one sync of the file system is cheaper
    (measured on ext4: from two on), but it also waits for data that other programs wrote."""
    staging_names: int = 9
    """Names that are tried for the staging directory, in case other programs use the first ones."""
    staging_retries: int = 1000
    """Staged files that a failing disk keeps, whose removal is tried again; the next start removes the others."""
    index_batch_rows: int = 5_000
    """Rows of one transaction of the index."""
    index_batch_seconds: float = 0.2
    """How long the index waits for more rows before it writes."""
    index_queue_rows: int = 100_000
    """Rows that may wait for the index's writer. Adding more blocks until it has written some."""
    index_busy_seconds: float = 1.0
    """How long opening the index waits for another process to release it."""


LIMITS = Limits()
