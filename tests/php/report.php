<?php
// Makes what a script says the same at every run: complaints are lines on its output, without
// file names, and ports are left out.
error_reporting(E_ALL);
ini_set('display_errors', '0');
set_error_handler(function (int $level, string $text): bool {
    if ((error_reporting() & $level) === 0) {
        return true;
    }
    $names = [E_WARNING => 'warning', E_NOTICE => 'notice', E_DEPRECATED => 'deprecated'];
    say(($names[$level] ?? $level) . ': ' . $text);
    return true;
});

function say(mixed ...$values): void
{
    foreach ($values as $value) {
        $text = is_string($value) ? $value : json_encode($value);
        $text = preg_replace('/(127\.0\.0\.1|0\.0\.0\.0|\[[0-9a-f:.]+\]):\d{4,5}\b/', '$1:PORT', $text);
        $text = preg_replace('/stream_socket_test\.\d+/', 'stream_socket_test', $text);
        // Whoever starts PHP may leave it descriptors of its own.
        $text = preg_replace('/(numbered at least as high as) \d+/', '$1 NUMBER', $text);
        echo str_replace(["\0", sys_get_temp_dir()], ['\0', 'TEMP'], rtrim($text, "\n")), "\n";
    }
}

/** What a call throws, as a line. */
function attempt(callable $call): mixed
{
    try {
        return $call();
    } catch (Throwable $thrown) {
        say(get_class($thrown) . ': ' . $thrown->getMessage());
        return null;
    }
}

/** Runs cases, each named, and says what each gives. */
function table(array $cases): void
{
    foreach ($cases as $name => $case) {
        $given = attempt($case);
        $given = is_resource($given) ? 'a stream' : json_encode($given, JSON_UNESCAPED_SLASHES);
        say(addcslashes($name, "\0") . ' => ' . $given);
    }
}

/** Until a stream has something to read, or the time is up. */
function await(mixed $stream, float $seconds = 2): bool
{
    $read = [$stream];
    $none = null;
    return stream_select($read, $none, $none, 0, (int) ($seconds * 1e6)) === 1;
}

/** A listener on loopback, its address, a client and the accepted end. */
function connected(string $transport = 'tcp'): array
{
    $listener = stream_socket_server("$transport://127.0.0.1:0");
    $client = stream_socket_client("$transport://" . stream_socket_get_name($listener, false));
    return [$client, stream_socket_accept($listener, 5), $listener];
}

/** A path for a unix socket that no other run has; one that was ended may have left it. */
function socket_path(): string
{
    $path = sys_get_temp_dir() . '/stream_socket_test.sock';
    $own = str_replace('.sock', '.' . getmypid() . '.sock', $path);
    @unlink($own);
    register_shutdown_function(fn () => @unlink($own));
    return $own;
}
