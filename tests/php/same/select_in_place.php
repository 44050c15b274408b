<?php
// Large arrays that are changed in place from call to call, while no stream of ours stands outside of
// them. Each answer has to be what the same streams say in small parts, which are never followed, and
// the same as on stock PHP. The other ends are not streams, so that they count for nothing.
require __DIR__ . '/../report.php';
mt_srand((int) ($argv[1] ?? 3));
$listener = stream_socket_server('tcp://127.0.0.1:0', $number, $text, 12,
    stream_context_create(['socket' => ['backlog' => 300]]));
$port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
$names = $ends = $references = $aside = $shared = [];
$calls = 0;

function connection(): mixed
{
    global $listener, $port, $names, $ends;
    static $count = 0;
    $end = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
    socket_connect($end, '127.0.0.1', $port);
    $stream = stream_socket_accept($listener, 5);
    stream_set_blocking($stream, false);
    $names[(int) $stream] = 's' . $count++;
    $ends[(int) $stream] = $end;
    return $stream;
}

/** One end of a pair, which is stock PHP's. */
function stock(): mixed
{
    global $names, $ends;
    static $count = 0;
    [$stream, $end] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($stream, false);
    $names[(int) $stream] = 'p' . $count++;
    $ends[(int) $stream] = $end;
    return $stream;
}

function send(mixed $stream, string $bytes): void
{
    global $ends;
    $end = $ends[(int) $stream] ?? null;
    $end instanceof Socket ? @socket_write($end, $bytes) : (is_resource($end) && @fwrite($end, $bytes));
}

/** What select says of an array, or how it throws. */
function answer(array $streams): array|string
{
    global $names;
    $none = null;
    try {
        stream_select($streams, $none, $none, 0, 0);
    } catch (TypeError $error) {
        return $error->getMessage();
    }
    return array_map(fn ($stream) => $names[(int) $stream], $streams);
}

function answer_in_parts(array $streams): array|string
{
    $answers = [];
    foreach (array_chunk($streams, 50, true) as $part) {
        $answer = answer($part);
        if (is_string($answer)) {
            return $answer;
        }
        $answers += $answer;
    }
    return $answers;
}

function look(): void
{
    global $array, $calls;
    $calls++;
    $answer = answer($array);
    if (extension_loaded('stream_socket')) {
        $expected = answer_in_parts($array);
        if ($expected !== $answer) {
            say("call $calls: " . json_encode($answer) . ', in parts ' . json_encode($expected));
        }
    }
    // Stock PHP tells of nothing else while a stream has unread bytes.
    say(array_filter($array, 'has_unread') ? 'unread bytes' : json_encode($answer));
}

function chosen(): mixed
{
    global $array;
    return array_rand($array);
}

/** Takes what PHP has of them in its buffers. */
function take_unread(): void
{
    global $array;
    foreach (array_filter($array, 'has_unread') as $stream) {
        fread($stream, 8192);
    }
}

function has_unread(mixed $stream): bool
{
    return is_resource($stream) && stream_get_meta_data($stream)['unread_bytes'] > 0;
}

function members(): array
{
    global $array;
    $numbers = array_map('intval', $array);
    sort($numbers);
    return $numbers;
}

/** Whether a stream stands in the array only once, and nobody else has it. */
function is_single(mixed $key): bool
{
    global $array, $references;
    $stream = $array[$key];
    return count(array_keys($array, $stream, true)) === 1 && !in_array($stream, $references, true);
}

function change(): void
{
    global $array, $aside, $ends, $listener, $names, $references, $shared;
    [$one, $other] = [chosen(), chosen()];
    $is_list = array_is_list($array);
    if (!is_resource($array[$one])) {
        return;
    }
    switch (mt_rand(0, 21)) {
        case 0: case 1: case 2:
            send($array[$one], "two\nlines\n");
            break;
        case 3: case 4: case 5:
            if ($array[$one] !== $listener) {
                fread($array[$one], 8192);
            }
            break;
        case 6: case 7:
            [$array[$one], $array[$other]] = [$array[$other], $array[$one]];
            break;
        case 8:
            $is_list ? shuffle($array) : asort($array);
            break;
        case 9:
            if ($is_list) {
                $array[] = array_shift($array);
            } else {
                $moved = $array[$one];
                unset($array[$one]);
                $array[$one] = $moved;
            }
            break;
        case 10:
            $last = array_pop($array);
            $key = chosen();
            $moved = $array[$key];
            $array[$key] = $last;
            $array[] = $moved;
            break;
        case 11:
            // In the place of one that ends by that.
            if (is_single($one) && $array[$one] !== $listener) {
                $array[$one] = $array[$other];
            }
            break;
        case 12:
            // In the place of one that goes on elsewhere, and comes back.
            $aside[] = $array[$one];
            $array[$one] = mt_rand(0, 1) ? connection() : stock();
            break;
        case 13:
            if ($array[$one] !== $listener) {
                fclose($array[$one]);
                look();
                $array = array_filter($array, 'is_resource');
                $is_list && $array = array_values($array);
            }
            break;
        case 14:
            $end = $ends[(int) $array[$one]] ?? null;
            $end instanceof Socket && @socket_shutdown($end, 1);
            break;
        case 15:
            if ($is_list) {
                array_splice($array, mt_rand(0, 5), 1, [$array[mt_rand(0, 5)], connection()]);
            } elseif (is_single($one)) {
                $aside[] = $array[$one];
                unset($array[$one]);
            }
            break;
        case 16:
            while ($aside) {
                $array[] = array_pop($aside);
            }
            break;
        case 17:
            $references[$one] = $array[$one];
            $array[$one] = &$references[$one];
            break;
        case 18:
            // Elements that are references change with what they stand for.
            if (count($references) > 1) {
                [$one, $other] = array_rand($references, 2);
                $before = members();
                [$references[$one], $references[$other]] = [$references[$other], $references[$one]];
                if (members() !== $before) {
                    // One of them is not in the array any more.
                    [$references[$one], $references[$other]] = [$references[$other], $references[$one]];
                }
            }
            break;
        case 19:
            if (isset($ends[(int) $array[$one]])) {
                send($array[$one], "two\nlines\n");
                fgets($array[$one]);
            }
            break;
        case 20:
            if (str_starts_with($names[(int) $array[$one]], 's')) {
                $shared[] = socket_import_stream($array[$one]);
                socket_set_nonblock(end($shared));
            }
            break;
        case 21:
            $array[] = $array[$one];
            break;
    }
}

$names[(int) $listener] = 'listener';
foreach (['list', 'names', 'sparse', 'list'] as $kind) {
    $array = [$listener];
    while (count($array) < 80) {
        match ($kind) {
            'list' => $array[] = connection(),
            'sparse' => $array[count($array) * 7 + 5] = connection(),
            'names' => $array['key' . count($array)] = connection(),
        };
    }
    for ($turn = 0; $turn < 150; $turn++) {
        for ($changes = mt_rand(0, 2); $changes > 0; $changes--) {
            change();
        }
        if (mt_rand(0, 9) === 0) {
            (new Fiber(look(...)))->start();
        }
        look();
        mt_rand(0, 1) && take_unread();
    }
    $array = $aside = $references = $shared = [];
}

/** How many calls it takes until an array's change is seen: 1 on stock PHP. */
function calls_until(callable $is_seen): int
{
    global $array;
    for ($calls = 1; $calls < 1000 && !$is_seen(answer($array)); $calls++);
    return $calls;
}

$older = stock();
send($older, 'x');
foreach (['list', 'names'] as $kind) {
    $streams = ['listener' => $listener];
    while (count($streams) < 80) {
        $streams['key' . count($streams)] = connection();
    }
    $streams = $kind === 'list' ? array_values($streams) : $streams;
    [, , $idle, $ready, $busy] = array_keys($streams);
    send($streams[$busy], 'x');
    $aside = $streams[$ready];
    // A new table each time, which stands where the last one was.
    foreach ([$aside, $older, $aside] as $stream) {
        $array = [];
        foreach ($streams as $key => $other) {
            $array[$key] = $key === $ready ? $stream : $other;
        }
        unset($stream, $other);
        look();
        look();
    }
    // What has to be seen at once, though others are ready: one of ours that was outside, one of ours
    // while the listener stands there twice, a new one that is not ours, and one that was there and
    // has changed places with another.
    $outside = connection();
    send($outside, 'x');
    foreach (['outside', 'twice', 'new', 'moved'] as $what) {
        $array[$ready] = $aside;
        $array['more'] = $what === 'twice' ? $listener : $older;
        if ($what === 'new' || $what === 'moved') {
            $outside = null;
        }
        look();
        look();
        if ($what === 'moved') {
            [$array['more'], $array[$ready]] = [$array[$ready], $array['more']];
        } else {
            $array[$ready] = $outside ?? stock();
            send($array[$ready], 'x');
        }
        look();
    }
    unset($array['more']);
    // One that is not ours, one that is there already, and none, in the place of one that goes on
    // elsewhere: it need not be seen at once while others are ready.
    foreach ([$older, $array[$busy], null] as $stream) {
        $array[$ready] = $aside;
        look();
        look();
        $array[$ready] = $stream;
        $is_seen = fn (array|string $answer) => is_string($answer) || isset($answer[$ready]);
        say(calls_until($is_seen) <= 32);
    }
    // Nothing else is ready.
    $array[$ready] = $aside;
    look();
    fread($array[$busy], 10);
    look();
    look();
    $array[$ready] = $older;
    look();
    $array = $streams = $aside = [];
}
