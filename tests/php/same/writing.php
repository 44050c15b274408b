<?php
// Section 11: writes that fit, that do not, and that nobody will read. 13: setters.
require __DIR__ . '/../report.php';

/** Writes until no more fits. The buffers of the kernel hold more or less. */
function fill(mixed $stream): bool
{
    stream_set_blocking($stream, false);
    while (fwrite($stream, str_repeat('x', 1 << 20)) > 0) {
    }
    // What is read meanwhile by nobody leaves no room for a byte more.
    while (fwrite($stream, 'x') > 0) {
    }
    return true;
}
$udp = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
$sender = stream_socket_client('udp://' . stream_socket_get_name($udp, false));
$pair = fn () => stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$none = stream_socket_client('tcp://127.0.0.1:1', $number, $text, 1, 0);
[$client, $served] = connected();
$file = fopen(__FILE__, 'r');
table([
    'bytes' => fn () => [fwrite($client, 'bytes'), fread($served, 9)],
    'empty' => fn () => [fwrite($client, ''), await($served, 0)],
    'part' => fn () => [fwrite($client, 'parted', 4), fread($served, 9)],
    'fputs, fprintf' => fn () => [fputs($client, 'a'), fprintf($client, '%d', 12), fputcsv($client, [1, 2], ',', '"',
        ''), fgets($served)],
    'no socket' => fn () => fwrite($none, 'x'),
    'full, not blocking' => function () {
        [$client, $served] = connected();
        return [fill($client), fwrite($client, 'more'), stream_get_meta_data($client)['timed_out']];
    },
    'full, blocking' => function () {
        [$client, $served] = connected();
        fill($client);
        stream_set_blocking($client, true);
        stream_set_timeout($client, 0, 30000);
        return [fwrite($client, 'more'), stream_get_meta_data($client)['timed_out'], await($served),
            strlen(fread($served, 10))];
    },
    'much, read meanwhile' => function () {
        [$client, $served] = connected();
        if (pcntl_fork() === 0) {
            $count = strlen(stream_get_contents($served));
            fwrite($served, "$count\n");
            posix_kill(posix_getpid(), SIGKILL);
        }
        fclose($served);
        return [fwrite($client, str_repeat('x', 5_000_000)), stream_socket_shutdown($client, STREAM_SHUT_WR),
            fgets($client), pcntl_wait($status) > 0];
    },
    'gone' => function () {
        [$client, $served] = connected();
        fclose($served);
        usleep(10000);
        $first = fwrite($client, 'first');
        usleep(10000);
        return [$first, fwrite($client, 'second'), fwrite($client, 'third'), feof($client)];
    },
    'unix, gone' => function () {
        $path = socket_path();
        $server = stream_socket_server("unix://$path");
        $client = stream_socket_client("unix://$path");
        fclose(stream_socket_accept($server, 1));
        return [fwrite($client, 'first'), feof($client), unlink($path)];
    },
    'datagram' => fn () => [fwrite($sender, 'whole'), fread($udp, 99)],
    'datagram, too long' => fn () => fwrite($sender, str_repeat('x', 70000)),
    'datagram, nobody there' => function () {
        $gone = stream_socket_server('udp://127.0.0.1:0', $number, $text, STREAM_SERVER_BIND);
        $sender = stream_socket_client('udp://' . stream_socket_get_name($gone, false));
        fclose($gone);
        $first = fwrite($sender, 'first');
        usleep(10000);
        return [$first, fwrite($sender, 'second')];
    },
    'set_timeout' => fn () => [stream_set_timeout($client, 1), stream_set_timeout($client, 0, 1_500_000),
        socket_set_timeout($client, 2)],
    'set_timeout, others' => fn () => [stream_set_timeout($file, 1), stream_set_timeout($none, 1),
        stream_set_timeout($pair()[0], 1)],
    'set_timeout, a fraction' => fn () => stream_set_timeout($client, 1.5),
    'set_blocking' => fn () => [stream_set_blocking($client, false), stream_get_meta_data($client)['blocked'],
        socket_set_blocking($client, true), stream_get_meta_data($client)['blocked']],
    'set_blocking, no socket' => fn () => stream_set_blocking($none, false),
    'chunk size' => fn () => [stream_set_chunk_size($client, 100), stream_set_chunk_size($client, 8192)],
    'chunk size 0' => fn () => stream_set_chunk_size($client, 0),
    'chunk size, huge' => fn () => stream_set_chunk_size($client, 1 << 32),
    'read buffer' => fn () => [stream_set_read_buffer($client, 0), stream_set_read_buffer($client, 5)],
    'write buffer' => fn () => [stream_set_write_buffer($client, 0), set_file_buffer($client, 5)],
    'status' => fn () => array_keys(array_diff_key(socket_get_status($client), ['socket' => 0])),
    'no socket: status' => fn () => array_diff_key(stream_get_meta_data($none), ['socket' => 0]),
    'eof is not looked for' => function () use ($client, $served) {
        fclose($served);
        usleep(10000);
        return [stream_get_meta_data($client)['eof'], feof($client), stream_get_meta_data($client)['eof']];
    },
]);
