<?php
// Reads of more than PHP's buffer holds: until PHP 8.2 they wait for more, up to the timeout; since
// 8.3 they look at the socket once.
require __DIR__ . '/../report.php';
[$client, $served] = connected();
stream_set_timeout($served, 1);

/** What a read gives, and whether it waited for more. */
function told(mixed $stream): void
{
    $start = hrtime(true);
    say(fread($stream, 100), hrtime(true) - $start >= 1_000_000_000);
}

fwrite($client, "line\nrest");
say(fgets($served));
told($served);
fwrite($client, "line\nrest");
say(fgets($served));
fwrite($client, ' and more');
told($served);
stream_set_blocking($served, false);
told($served);
stream_set_blocking($served, true);
fwrite($client, "line\nrest");
say(fgets($served));
fclose($client);
told($served);
say(feof($served), fread($served, 100), feof($served));
