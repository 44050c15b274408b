<?php
// Section 10: every way to read, with all that is to read, some, none, and the end.
require __DIR__ . '/../report.php';

/** What a reader makes of what was sent: in blocking mode for a short time, not blocking, or at the end. */
function reading(string $mode, string $sent, callable $read): mixed
{
    [$client, $served] = connected();
    if ($sent !== '') {
        fwrite($client, $sent);
        await($served);
    }
    if ($mode === 'end') {
        fclose($client);
        usleep(5000);
    }
    stream_set_blocking($served, $mode !== 'dry');
    stream_set_timeout($served, 0, 30000);
    $given = $read($served);
    $facts = stream_get_meta_data($served);
    return [$given, 'timed_out' => $facts['timed_out'], 'eof' => $facts['eof'],
        'unread' => $facts['unread_bytes'], 'feof' => feof($served)];
}
$calls = [
    'fread' => fn (mixed $stream) => fread($stream, 100),
    'fread, little' => fn (mixed $stream) => fread($stream, 2),
    'fgets' => fn (mixed $stream) => [fgets($stream), fgets($stream)],
    'fgets of 3' => fn (mixed $stream) => [fgets($stream, 3), fgets($stream, 3)],
    'fgets of 1' => fn (mixed $stream) => fgets($stream, 1),
    'fgetc' => fn (mixed $stream) => fgetc($stream),
    'line' => fn (mixed $stream) => [stream_get_line($stream, 100, "\n"), stream_get_line($stream, 100, "\n")],
    'line of 2' => fn (mixed $stream) => [stream_get_line($stream, 2, "\n"), stream_get_line($stream, 2, "\n")],
    'line of 0' => fn (mixed $stream) => stream_get_line($stream, 0, "\n"),
    'line, no ending' => fn (mixed $stream) => stream_get_line($stream, 100),
    'line, no ending, 3' => fn (mixed $stream) => stream_get_line($stream, 3),
    'line, long ending' => fn (mixed $stream) => stream_get_line($stream, 100, "e\ntwo"),
    'contents' => fn (mixed $stream) => stream_get_contents($stream),
    'contents, 4' => fn (mixed $stream) => stream_get_contents($stream, 4),
    'copy' => function (mixed $stream) {
        $copy = fopen('php://memory', 'w+');
        return [stream_copy_to_stream($stream, $copy), stream_get_contents($copy, -1, 0)];
    },
    'fscanf' => fn (mixed $stream) => fscanf($stream, '%s'),
    'feof' => fn (mixed $stream) => feof($stream),
    'fgetcsv' => fn (mixed $stream) => fgetcsv($stream, null, ',', '"', ''),
    'fpassthru' => fn (mixed $stream) => fpassthru($stream),
];
$cases = [];
foreach ($calls as $name => $call) {
    foreach (['a while', 'dry', 'end'] as $mode) {
        foreach (["one\ntwo", ''] as $sent) {
            $cases["$name: $mode: " . ($sent === '' ? 'nothing' : 'some')] = fn () => reading($mode, $sent, $call);
        }
    }
}
table($cases);
[$client, $served] = connected();
stream_set_timeout($served, 0, 30000);
$fill = function (int $count) use ($client): void {
    fwrite($client, str_repeat('x', $count));
    usleep(10000);
};
$lengths = fn (int $times, int $length) => array_map(
    fn () => strlen((string) fread($served, $length)), range(1, $times));
table([
    'fread 0' => fn () => fread($served, 0),
    'fgets 0' => fn () => fgets($served, 0),
    'fgets below 0' => fn () => fgets($served, -1),
    'line below 0' => fn () => stream_get_line($served, -1),
    '20000 bytes, chunks' => fn () => [$fill(20000), $lengths(3, 20000)],
    '20000 bytes, no buffer' => fn () => [stream_set_read_buffer($served, 0), $fill(20000), $lengths(1, 20000)],
    'the buffer again' => fn () => [stream_set_read_buffer($served, 1), $fill(10000), $lengths(2, 20000)],
    'chunks of 1' => fn () => [stream_set_chunk_size($served, 1), $fill(10000), $lengths(1, 20000),
        stream_set_chunk_size($served, 8192)],
    'chunks of 3000' => fn () => [stream_set_chunk_size($served, 3000), $fill(8000), $lengths(3, 20000),
        stream_set_chunk_size($served, 8192)],
    'buffer off: what is in it comes first' => fn () => [fwrite($client, "one\ntwo"), fgets($served),
        stream_set_read_buffer($served, 0), fread($served, 100), stream_set_read_buffer($served, 1)],
    'an ending in two parts' => fn () => [fwrite($client, "record\r"), stream_get_line($served, 100, "\r\n"),
        fwrite($client, "\nnext"), stream_get_line($served, 100, "\r\n"), fread($served, 4)],
    'empty records' => fn () => [fwrite($client, ';;'), stream_get_line($served, 9, ';'),
        stream_get_line($served, 9, ';')],
    'a record of just the length' => fn () => [fwrite($client, 'abc;'), stream_get_line($served, 3, ';'),
        stream_get_line($served, 3, ';')],
    'timed_out, then data' => fn () => [fread($served, 9), stream_get_meta_data($served)['timed_out'],
        fwrite($client, 'x'), fread($served, 9), stream_get_meta_data($served)['timed_out']],
    'timed_out, then written' => fn () => [fread($served, 9), fwrite($served, 'x'),
        stream_get_meta_data($served)['timed_out'], fread($client, 1)],
    'timed_out, then without waiting' => fn () => [fread($served, 9), stream_set_blocking($served, false),
        fread($served, 9), stream_get_meta_data($served)['timed_out'], stream_set_blocking($served, true)],
    'timed_out, cleared' => fn () => [fread($served, 9), stream_set_timeout($served, 0, 30000),
        stream_get_meta_data($served)['timed_out']],
    'timeout 0 0' => fn () => [stream_set_timeout($served, 0, 0), fread($served, 9),
        stream_get_meta_data($served)['timed_out']],
    'timeout 0 0, some' => fn () => [fwrite($client, "one\ntwo"), await($served), fgets($served), fgets($served),
        stream_get_line($served, 9, "\n"), stream_get_contents($served, 4),
        stream_get_meta_data($served)['timed_out']],
    'timed_out, then what is in the buffer' => fn () => [stream_set_timeout($served, 0, 30000),
        fwrite($client, 'ab'), await($served), stream_get_line($served, 9, "\n"), fread($served, 9),
        stream_get_meta_data($served)['timed_out']],
    'timeout under a millisecond' => fn () => [stream_set_timeout($served, 0, 900), fread($served, 9)],
    'timeout -1, with data' => fn () => [stream_set_timeout($served, -1), fwrite($client, 'x'), fread($served, 9)],
    'ftell' => fn () => [fwrite($client, "one\ntwo"), $at = ftell($served), fgets($served), ftell($served) - $at,
        fwrite($served, 'four'), ftell($served) - $at, fread($served, 3), ftell($served) - $at],
    'fseek' => fn () => [fseek($served, 1), @rewind($served)],
    'ftruncate' => fn () => ftruncate($served, 1),
    'fsync' => fn () => fsync($served),
    'fdatasync' => fn () => fdatasync($served),
    'flock' => fn () => [flock($served, LOCK_EX), stream_supports_lock($served)],
    'fstat' => fn () => decoct(fstat($served)['mode'] & 0170000),
    'fflush' => fn () => fflush($served),
    'local, a terminal' => fn () => [stream_is_local($served), stream_isatty($served), posix_isatty($served)],
    'select with a buffer' => function () use ($client, $served) {
        fwrite($client, "one\ntwo");
        fgets($served);
        return [await($served, 0), fread($served, 3), await($served, 0)];
    },
    'reset' => function () {
        [$client, $served] = connected();
        socket_set_option(socket_import_stream($client), SOL_SOCKET, SO_LINGER, ['l_onoff' => 1, 'l_linger' => 0]);
        fclose($client);
        usleep(10000);
        return [fread($served, 9), feof($served), stream_get_meta_data($served)['eof'],
            stream_socket_get_name($served, true)];
    },
]);
