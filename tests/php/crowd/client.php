<?php
// So many clients of one server, all connected at once, each of which is answered twice:
// php client.php ADDRESS COUNT.
posix_setrlimit(POSIX_RLIMIT_NOFILE, ...array_fill(0, 2, (int) $argv[2] + 1000));
$clients = [];
for ($count = 0; $count < $argv[2]; $count++) {
    $client = @stream_socket_client("tcp://$argv[1]", $errno, $errstr, 10);
    if (!$client || @fwrite($client, "client $count is there\n") === false) {
        exit("client $count: $errstr\n");
    }
    $clients[] = $client;
}
foreach (['is there', 'is there still'] as $says) {
    $answers = 0;
    while ($answers < count($clients)) {
        $read = $clients;
        $none = null;
        if (!stream_select($read, $none, $none, 20)) {
            exit("only $answers were answered\n");
        }
        foreach ($read as $number => $client) {
            if (fgets($client) !== "client $number $says\n") {
                exit("after $answers, client $number was not answered\n");
            }
            $answers++;
        }
    }
    if ($says === 'is there') {
        foreach ($clients as $number => $client) {
            fwrite($client, "client $number is there still\n");
        }
    }
}
echo count($clients), " were answered twice\n";
