<?php
// Clients that others have written on PHP's streams, beside a server that is a child: HTTP by Symfony
// and by Guzzle's handler of streams, mail by PHPMailer.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';
error_reporting(E_ALL & ~E_DEPRECATED);
$identity = issue('localhost');
$php = "$argv[1]/usr/share/php";

/** Serves in a child whoever comes to a port of its own, each in a child of that. */
function child(callable $serve): string
{
    $server = stream_socket_server('tcp://127.0.0.1:0');
    $child = beside(function () use ($server, $serve) {
        pcntl_signal(SIGCHLD, SIG_IGN);
        while ($served = stream_socket_accept($server, 60)) {
            beside(fn () => $serve($served));
            fclose($served);
        }
    });
    $owner = getmypid();
    register_shutdown_function(fn () => getmypid() === $owner && posix_kill($child, SIGKILL));
    return substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
}

/** Answers one request, as a server without keep-alive does. */
function answer_http(mixed $served): void
{
    // Whoever changes his mind says nothing.
    [$method, $path] = explode(' ', fgets($served) ?: ' ');
    $length = 0;
    while (($header = trim(fgets($served))) !== '') {
        sscanf(strtolower($header), 'content-length: %d', $length);
    }
    $text = "$method $path " . md5($length ? stream_get_contents($served, $length) : '');
    if ($path === '/silent') {
        fgets($served);
        return;
    }
    @fwrite($served, match ($path) {
        '/gone' => "HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\ngone",
        '/moved' => "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
        '/chunks' => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n6\r\nlonger\r\n0\r\n\r\n",
        '/large' => "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" . str_repeat('abc', 1_000_000),
        default => "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($text) . "\r\n\r\n$text",
    });
}

$http = child('answer_http');
$context = stream_context_create(['ssl' => ['local_cert' => $identity['file']]]);
$https = child(function ($served) use ($context) {
    stream_context_set_params($served, ['options' => stream_context_get_options($context)]);
    if (stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER)) {
        answer_http($served);
    }
});
$bases = ["http://localhost:$http", "https://localhost:$https"];

say('Symfony');
require "$php/Symfony/Component/HttpClient/autoload.php";
$authority = holding($identity['text']);
$client = new Symfony\Component\HttpClient\NativeHttpClient(['cafile' => $authority]);
foreach ($bases as $base) {
    $tell = function (callable $call): void {
        $text = attempt($call);
        say(strlen($text ?? '') > 100 ? md5($text) : $text);
    };
    $tell(fn () => $client->request('GET', "$base/one")->getContent());
    $tell(fn () => $client->request('POST', "$base/two", ['body' => str_repeat('post', 50_000)])->getContent());
    $tell(fn () => $client->request('GET', "$base/chunks")->getContent());
    $tell(fn () => $client->request('GET', "$base/moved")->getContent());
    $tell(fn () => $client->request('GET', "$base/large")->getContent());
    $tell(fn () => (string) $client->request('GET', "$base/gone")->getStatusCode());
    $silent = $client->request('GET', "$base/silent", ['timeout' => 0.2]);
    try {
        $silent->getContent();
    } catch (Symfony\Contracts\HttpClient\Exception\TransportExceptionInterface $late) {
        say(str_replace($base, 'BASE', $late->getMessage()));
    }
    $silent->cancel();
    $many = array_map(fn ($i) => $client->request('GET', "$base/$i"), range(1, 12));
    $texts = array_map(fn ($response) => $response->getContent(), $many);
    sort($texts);
    say(implode(' ', $texts));
}

say('Guzzle');
require "$argv[1]/usr/share/icingaweb2/modules/reactbundle/vendor/autoload.php";
$stack = GuzzleHttp\HandlerStack::create(new GuzzleHttp\Handler\StreamHandler());
$client = new GuzzleHttp\Client(['handler' => $stack, 'http_errors' => false, 'verify' => $authority]);
foreach ($bases as $base) {
    $tell = function (string $method, string $path, array $options = []) use ($client, $base): void {
        $response = attempt(fn () => $client->request($method, $base . $path, $options));
        $text = (string) $response?->getBody();
        say($response?->getStatusCode() . ' ' . (strlen($text) > 100 ? md5($text) : $text));
    };
    $tell('GET', '/one');
    $tell('POST', '/two', ['body' => str_repeat('post', 50_000)]);
    $tell('GET', '/chunks');
    $tell('GET', '/moved');
    $tell('GET', '/large');
    $tell('GET', '/gone');
    $streamed = $client->request('GET', "$base/large", ['stream' => true])->getBody();
    $size = 0;
    while ($size < 2_000_000 && !$streamed->eof()) {
        $size += strlen($streamed->read(10_000));
    }
    $streamed->close();
    say($size >= 2_000_000);
}
try {
    $client->get("https://127.0.0.1:$https/");
} catch (GuzzleHttp\Exception\TransferException $refused) {
    say(get_class($refused));
}

say('PHPMailer');
require "$php/libphp-phpmailer/autoload.php";
[$post, $box] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$smtp = child(function ($served) use ($context, $box) {
    stream_context_set_params($served, ['options' => stream_context_get_options($context)]);
    fwrite($served, "220 localhost ready\r\n");
    while (($line = fgets($served)) !== false) {
        $word = strtok($line, " \r\n");
        fwrite($served, match ($word) {
            'EHLO' => "250-localhost\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n",
            'STARTTLS' => "220 go on\r\n",
            'AUTH' => "334 \r\n",
            base64_encode("\0user\0secret") => "235 known\r\n",
            'DATA' => "354 end with a dot\r\n",
            'QUIT' => "221 bye\r\n",
            default => "250 OK\r\n",
        });
        if ($word === 'STARTTLS' && !stream_socket_enable_crypto($served, true, STREAM_CRYPTO_METHOD_TLS_SERVER)) {
            return;
        }
        if ($word === 'DATA') {
            for ($mail = ''; ($line = fgets($served)) !== ".\r\n"; $mail .= $line) {
            }
            fwrite($box, md5(substr($mail, strpos($mail, "\r\n\r\n"))) . "\n");
            fwrite($served, "250 taken\r\n");
        }
    }
});
foreach (['tls', ''] as $secure) {
    $mail = new PHPMailer\PHPMailer\PHPMailer(true);
    $mail->isSMTP();
    [$mail->Host, $mail->Port, $mail->SMTPSecure, $mail->SMTPAutoTLS] = ['localhost', (int) $smtp, $secure, false];
    $mail->SMTPOptions = ['ssl' => ['cafile' => $authority]];
    $mail->SMTPAuth = true;
    [$mail->Username, $mail->Password] = ['user', 'secret'];
    $mail->setFrom('from@example.org');
    $mail->addAddress('to@example.org');
    $mail->Subject = 'A letter';
    $mail->Body = str_repeat("A line of it.\n.\n..two\n", 3000);
    say(attempt(fn () => $mail->send()), trim(fgets($post)));
}
say('done');
