<?php
// More descriptors than 1,024, and unread bytes beside news of another stream.
require __DIR__ . '/../report.php';
posix_setrlimit(POSIX_RLIMIT_NOFILE, 4000, 4000);
$kept = [];
for ($count = 0; $count < 1100; $count++) {
    $kept[] = fopen('/dev/null', 'r');
}
[$client, $served] = connected();
fwrite($served, "one\ntwo\n");
usleep(20000);
$read = ['client' => $client];
$write = ['served' => $served];
$none = null;
$count = stream_select($read, $write, $none, 1);
say($count, array_keys($read), array_keys($write));
$kept = [];
[$client, $served] = connected();
fwrite($served, "one\ntwo\n");
say(fgets($client));
[$other, $sender] = connected();
fwrite($sender, 'news');
usleep(20000);
$read = ['buffered' => $client, 'other' => $other];
$write = ['writable' => $sender];
say(stream_select($read, $write, $none, 1), array_keys($read), array_keys($write));
// A stream with a filter.
[$client, $served] = connected();
stream_filter_append($client, 'string.rot13', STREAM_FILTER_READ);
fwrite($served, 'svygrerq');
usleep(20000);
$read = [$client];
attempt(function () use ($read) {
    $none = null;
    say(stream_select($read, $none, $none, 1), fread($read[0], 8));
});
