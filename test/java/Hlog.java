import java.io.File;
import java.io.PrintStream;
import java.util.Map;
import java.util.TreeMap;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;
import org.HdrHistogram.HistogramLogWriter;

/**
 * The reference implementation's own reader and writer of histogram logs.
 *
 * <p>{@code read FILE}: one line of JSON per tag, with the lines, the count and percentiles of all its histograms added.
 * {@code write FILE UNIT}: a log of two tags over three seconds, in units of so many nanoseconds, whose values are known: see below.
 */
public final class Hlog {
  private static final double[] PERCENTILES = {50, 90, 95, 99, 99.9, 99.99};

  public static void main(String[] words) throws Exception {
    if (words[0].equals("read")) read(new File(words[1]));
    else write(new File(words[1]), Long.parseLong(words[2]));
  }

  private static void read(File file) throws Exception {
    Map<String, Histogram> sums = new TreeMap<>();
    Map<String, Integer> lines = new TreeMap<>();
    HistogramLogReader reader = new HistogramLogReader(file);
    for (EncodableHistogram next = reader.nextIntervalHistogram(); next != null; next = reader.nextIntervalHistogram()) {
      String tag = String.valueOf(next.getTag());
      sums.computeIfAbsent(tag, unused -> new Histogram(1, 3_600_000_000L, 3)).add((Histogram) next);
      lines.merge(tag, 1, Integer::sum);
    }
    reader.close();
    for (Map.Entry<String, Histogram> entry : sums.entrySet()) {
      Histogram sum = entry.getValue();
      StringBuilder json = new StringBuilder();
      json.append("{\"tag\":\"").append(entry.getKey()).append("\",\"lines\":").append(lines.get(entry.getKey()));
      json.append(",\"count\":").append(sum.getTotalCount()).append(",\"percentiles\":[");
      for (int i = 0; i < PERCENTILES.length; i++) {
        json.append(i == 0 ? "" : ",").append(sum.getValueAtPercentile(PERCENTILES[i]));
      }
      System.out.println(json.append("]}"));
    }
  }

  /** Second s holds, under the tag "search", s + 1 times every whole millisecond from 1 to 1000; untagged, 10 values of 5 seconds. */
  private static void write(File file, long unitNanoseconds) throws Exception {
    HistogramLogWriter writer = new HistogramLogWriter(new PrintStream(file));
    long startMs = 1_700_000_000_000L;
    writer.outputLogFormatVersion();
    writer.outputStartTime(startMs);
    writer.setBaseTime(startMs);
    writer.outputBaseTime(startMs);
    writer.outputLegend();
    for (int second = 0; second < 3; second++) {
      Histogram tagged = new Histogram(3);
      tagged.setTag("search");
      for (long ms = 1; ms <= 1_000; ms++) tagged.recordValueWithCount(ms * 1_000_000 / unitNanoseconds, second + 1);
      Histogram plain = new Histogram(3);
      plain.recordValueWithCount(5_000_000_000L / unitNanoseconds, 10);
      for (Histogram histogram : new Histogram[] {tagged, plain}) {
        histogram.setStartTimeStamp(startMs + second * 1_000L);
        histogram.setEndTimeStamp(startMs + (second + 1) * 1_000L);
        writer.outputIntervalHistogram(histogram);
      }
    }
    writer.close();
  }
}
