<#
.SYNOPSIS
Installs Sysforge from a release: fetches the archive for this machine and SHA256SUMS, compares the
digests, and puts the program into a folder. Nothing is kept that does not match.
.PARAMETER From
Where the release's files lie: an https address such as
https://github.com/OWNER/REPO/releases/download/v0.1.0, or a folder.
.PARAMETER To
Where the program goes.
#>
param(
    [string] $From = $env:SYSFORGE_INSTALL_FROM,
    [string] $To = (Join-Path $HOME '.local\bin')
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# Windows PowerShell 5.1 on older systems offers nothing newer than TLS 1.0 by itself.
[Net.ServicePointManager]::SecurityProtocol =
    [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

if (-not $From) { throw 'say where from: -From https://github.com/OWNER/REPO/releases/download/TAG' }
if ($From -match '^http://(?!127\.0\.0\.1[:/]|localhost[:/])') { throw "$From is not encrypted; use https" }

# A 64-bit program runs on ARM, too.
$archive = 'sysforge-x86_64-pc-windows-msvc.zip'
$scratch = Join-Path ([IO.Path]::GetTempPath()) ([IO.Path]::GetRandomFileName())
New-Item -ItemType Directory -Path $scratch | Out-Null
try {
    foreach ($name in 'SHA256SUMS', $archive) {
        $target = Join-Path $scratch $name
        if ($From -match '^https?://') {
            $answer = Invoke-WebRequest -UseBasicParsing -Uri "$From/$name" -OutFile $target -PassThru
            # Windows PowerShell 5.1 follows redirects from https to http.
            $last = $answer.BaseResponse
            $last = if ($last.PSObject.Properties['ResponseUri']) { $last.ResponseUri } else { $last.RequestMessage.RequestUri }
            if ($From -match '^https:' -and $last.Scheme -ne 'https') {
                throw "$From/$name redirects to an address that is not encrypted"
            }
        } else {
            Copy-Item -Path (Join-Path $From $name) -Destination $target
        }
    }
    $pattern = '^([0-9a-fA-F]{64}) [ *]' + [regex]::Escape($archive) + '$'
    $line = Get-Content (Join-Path $scratch 'SHA256SUMS') | Where-Object { $_ -match $pattern }
    if (-not $line) { throw "SHA256SUMS does not name $archive" }
    $wanted = @($line)[0].Substring(0, 64)
    $found = (Get-FileHash -Algorithm SHA256 -Path (Join-Path $scratch $archive)).Hash
    if ($found -ne $wanted) {
        throw "$archive has the digest $found, but should have $wanted; nothing was installed"
    }
    Expand-Archive -Path (Join-Path $scratch $archive) -DestinationPath $scratch
    $program = Join-Path $scratch 'sysforge.exe'
    if (-not (Test-Path $program)) { throw "there is no program in $archive; nothing was installed" }
    $version = & $program --version
    if ($LASTEXITCODE -ne 0) { throw 'the program does not run on this machine; nothing was installed' }
    New-Item -ItemType Directory -Force -Path $To | Out-Null
    $installed = Join-Path $To 'sysforge.exe'
    Move-Item -Force -Path $program -Destination $installed
    Write-Host "installed $version as $installed"
    if (($env:PATH -split ';') -notcontains $To) { Write-Host "hint: $To is not on the search path" }
} finally {
    Remove-Item -Recurse -Force $scratch
}
