package dev.locket.android

import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import dev.locket.Locket
import dev.locket.ffi.AugmentRequest
import dev.locket.ffi.LocketException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import java.util.concurrent.TimeUnit

/**
 * A job service that generates synthetic texts while the device is charging and idle.
 *
 * An app extends this class, declares it in its manifest with the permission
 * `android.permission.BIND_JOB_SERVICE`, and calls [schedule] once. The system stops the job when
 * it needs the device. The next job continues where the stopped one ended.
 */
public abstract class AugmentService : JobService() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private var running: Job? = null

    /** Returns the app's only engine. This class does not close it. */
    protected abstract suspend fun locket(): Locket

    /** Returns the request for the synthetic texts. */
    protected open fun request(): AugmentRequest = AugmentRequest(count = 4u)

    final override fun onStartJob(parameters: JobParameters): Boolean {
        running = scope.launch {
            val again = try {
                locket().augment(request()).unfinished > 0u
            } catch (e: LocketException) {
                // A full disk or a locked store may be temporary. A missing model or pack needs the
                // app.
                e is LocketException.Storage || e is LocketException.StoreLocked
            }
            jobFinished(parameters, again)
        }
        return true
    }

    final override fun onStopJob(parameters: JobParameters): Boolean {
        running?.cancel()
        return true
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    public companion object {
        /**
         * Schedules a job every [hours] hours that runs while the device is charging and idle.
         *
         * Returns whether the system accepted it.
         */
        public fun schedule(context: Context, service: Class<out AugmentService>, jobId: Int, hours: Long = 24): Boolean {
            val job = JobInfo.Builder(jobId, ComponentName(context, service))
                .setRequiresCharging(true)
                .setRequiresDeviceIdle(true)
                .setPeriodic(TimeUnit.HOURS.toMillis(hours))
                .build()
            return context.getSystemService(JobScheduler::class.java)?.schedule(job) == JobScheduler.RESULT_SUCCESS
        }
    }
}
